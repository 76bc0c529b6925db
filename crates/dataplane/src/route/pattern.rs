//! A route's path: literal segments, `{param}` segments, and a last `{rest...}`.

use crate::route::path::normalise;

/// Values that one path can bind. More is a configuration error, so that a request's are kept without allocation.
pub const MAX_PARAMS: usize = 16;
/// Segments of a pattern; bounds the depth of a search.
pub const MAX_SEGMENTS: usize = 64;

/// Ordered by precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// In normal form, as `path::normalise` leaves it.
    Exact(Box<str>),
    /// One segment that is not empty.
    Param,
    /// All that is left after the slash, which may be nothing: `/files/{rest...}` matches `/files/`, not `/files`.
    Rest,
}

#[derive(Debug, Clone)]
pub struct PathPattern {
    text: Box<str>,
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

impl PathPattern {
    /// The error says what is wrong with `text`, and how it should be.
    pub fn compile(text: &str) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("'{text}' does not begin with '/'"));
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > MAX_SEGMENTS {
            return Err(format!("'{text}' has more than {MAX_SEGMENTS} segments"));
        }
        let mut pattern = Self { text: text.into(), segments: Vec::new(), names: Vec::new() };
        for (index, part) in parts.iter().enumerate() {
            let segment = pattern.segment(part)?;
            if segment == Segment::Rest && index + 1 != parts.len() {
                return Err(format!(
                    "'{{{}...}}' must be the last segment of '{text}'",
                    pattern.names[pattern.names.len() - 1]
                ));
            }
            pattern.segments.push(segment);
        }
        if pattern.names.len() > MAX_PARAMS {
            return Err(format!("'{text}' has more than {MAX_PARAMS} parameters"));
        }
        Ok(pattern)
    }

    fn segment(&mut self, part: &str) -> Result<Segment, String> {
        let Some(inner) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            if part.contains(['{', '}']) {
                return Err(format!("in '{part}' a parameter does not take the whole segment"));
            }
            return literal(part);
        };
        let (name, segment) = match inner.strip_suffix("...") {
            Some(name) => (name, Segment::Rest),
            None => (inner, Segment::Param),
        };
        let valid = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-');
        if !valid {
            return Err(format!("'{part}' does not name its parameter with letters, digits, '_' or '-'"));
        }
        if self.names.iter().any(|known| &**known == name) {
            return Err(format!("two parameters are named '{name}'"));
        }
        self.names.push(name.into());
        Ok(segment)
    }

    /// Whether a normalised path matches; for explanations, `RouteTable::find` is for requests.
    pub fn matches(&self, path: &str) -> bool {
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(here) = rest else { return false };
            let (part, below) = here.split_once('/').map_or((here, None), |(part, below)| (part, Some(below)));
            match segment {
                Segment::Exact(text) if **text == *part => {}
                Segment::Param if !part.is_empty() => {}
                Segment::Rest => return true,
                _ => return false,
            }
            rest = below;
        }
        rest.is_none()
    }

    /// From the left: a literal before a parameter before the rest; then the longer one.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let both = self.segments.iter().zip(&other.segments);
        let differ = both.map(|(one, two)| one.cmp(two)).find(|order| order.is_ne());
        differ.unwrap_or(other.segments.len().cmp(&self.segments.len()))
    }

    /// The positions of a parameter, which is no `{rest...}`, among segments and among names.
    pub fn place_of(&self, name: &str) -> Option<(usize, usize)> {
        let param = self.names.iter().position(|known| **known == *name)?;
        let segments = self.segments.iter().enumerate().filter(|(_, segment)| **segment == Segment::Param);
        segments.map(|(at, _)| at).nth(param).map(|segment| (segment, param))
    }

    /// The same without the segment of one of its parameters, given by their positions; None where that is all there is,
    /// or where the rest of the path could be anything.
    pub fn without(&self, segment: usize, param: usize) -> Option<Self> {
        let mut shorter = self.clone();
        shorter.segments.remove(segment);
        shorter.names.remove(param);
        let bounded = shorter.segments.last().is_some_and(|last| *last != Segment::Rest);
        let left = self.text.split('/').enumerate().filter(|(at, _)| *at != segment + 1).map(|(_, part)| part);
        shorter.text = left.collect::<Vec<_>>().join("/").into();
        bounded.then_some(shorter)
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// In the order of the path.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }
}

fn literal(part: &str) -> Result<Segment, String> {
    if part.contains(['?', '#']) {
        return Err(format!("'{part}' holds a '?' or '#', which never is part of a path"));
    }
    if part == "." || part == ".." {
        return Err(format!("'{part}' never is a segment of a normal path"));
    }
    match normalise(&format!("/{part}")) {
        // An escaped dot segment is gone after that.
        Ok(normal) if normal.len() > 1 || part.is_empty() => Ok(Segment::Exact(normal[1..].into())),
        Ok(_) => Err(format!("'{part}' never is a segment of a normal path")),
        Err(error) => Err(format!("'{part}': {}", error.detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_keeps_its_parts_and_names() {
        let pattern = PathPattern::compile("/v1/caf\u{e9}/{id}/{rest...}").expect("valid");
        assert_eq!(pattern.names().iter().map(|name| &**name).collect::<Vec<_>>(), ["id", "rest"]);
        assert_eq!(
            pattern.segments(),
            [Segment::Exact("v1".into()), Segment::Exact("caf%C3%A9".into()), Segment::Param, Segment::Rest]
        );
    }

    #[test]
    fn a_wrong_pattern_says_what_is_wrong() {
        for (text, part) in [
            ("items", "begin with '/'"),
            ("", "begin with '/'"),
            ("/a/{rest...}/b", "must be the last"),
            ("/a/{id}.json", "whole segment"),
            ("/a/{}", "does not name"),
            ("/a/{a b}", "does not name"),
            ("/{id}/{id}", "two parameters"),
            ("/a?b=1", "never is part of a path"),
            ("/a/../b", "normal path"),
            ("/a/%2e%2e/b", "normal path"),
            ("/a%00", "control character"),
            ("/a\\b", "backslash"),
        ] {
            let message = PathPattern::compile(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
