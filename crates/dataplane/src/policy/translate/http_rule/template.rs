//! Templates of paths: `/v1/{name=shelves/*/books/**}:archive` (`google/api/http.proto`).

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
    /// What stands behind the last colon.
    pub verb: Option<Box<str>>,
    pub variables: Vec<Variable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(Box<str>),
    /// `*`: one, not empty.
    One,
    /// `**`: any number of them.
    Rest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Names on the way to the field, with dots in between.
    pub field: String,
    /// Which segments of the template.
    pub start: usize,
    pub end: usize,
}

/// Segments of a template.
const SEGMENTS: usize = 64;

impl Template {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |message: &str| format!("the path '{text}' {message}");
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("does not begin with '/'"))?;
        // A colon within braces is no verb.
        let behind_braces = rest.rfind(['}', '/']).map_or(0, |at| at + 1);
        let (rest, verb) = match rest[behind_braces..].rfind(':') {
            Some(at) => (&rest[..behind_braces + at], Some(&rest[behind_braces + at + 1..])),
            None => (rest, None),
        };
        if verb.is_some_and(str::is_empty) {
            return Err(wrong("has a colon without a verb"));
        }
        let mut template = Self { segments: Vec::new(), verb: verb.map(Into::into), variables: Vec::new() };
        let mut rest = rest;
        while !rest.is_empty() {
            let end = match rest.strip_prefix('{') {
                Some(inner) => {
                    let close = inner.find('}').ok_or_else(|| wrong("has a '{' without its '}'"))?;
                    template.variable(&inner[..close]).map_err(|message| wrong(&message))?;
                    close + 2
                }
                None => {
                    let end = rest.find('/').unwrap_or(rest.len());
                    template.segment(&rest[..end]).map_err(|message| wrong(&message))?;
                    end
                }
            };
            rest = match rest[end..].strip_prefix('/') {
                Some("") => return Err(wrong("ends with '/'")),
                Some(next) => next,
                None if rest.len() == end => "",
                None => return Err(wrong("has something behind a '}' that is no '/'")),
            };
        }
        match () {
            () if template.segments.len() > SEGMENTS => Err(wrong(&format!("has more than {SEGMENTS} segments"))),
            () if template.segments.iter().filter(|segment| **segment == Segment::Rest).count() > 1 => {
                Err(wrong("has '**' twice"))
            }
            () => Ok(template),
        }
    }

    fn segment(&mut self, text: &str) -> Result<(), String> {
        self.segments.push(match text {
            "" => return Err("has an empty segment".to_owned()),
            "*" => Segment::One,
            "**" => Segment::Rest,
            literal if literal.contains(['*', '{', '}', '?', '#', '=']) => {
                return Err(format!(
                    "has the segment '{literal}', which is neither text nor '*' nor '**' nor '{{field}}'"
                ));
            }
            literal => Segment::Literal(literal.into()),
        });
        Ok(())
    }

    fn variable(&mut self, text: &str) -> Result<(), String> {
        let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !field.split('.').all(is_name) {
            return Err(format!("has the variable '{field}', which is no field's name"));
        }
        if self.variables.iter().any(|variable| variable.field == field) {
            return Err(format!("has the variable '{field}' twice"));
        }
        let start = self.segments.len();
        for segment in pattern.split('/') {
            self.segment(segment)?;
        }
        self.variables.push(Variable { field: field.to_owned(), start, end: self.segments.len() });
        Ok(())
    }

    /// Which of a path's segments a variable stands for, where the whole path has this many.
    pub fn span(&self, variable: (usize, usize), path: usize) -> std::ops::Range<usize> {
        let rest = self.segments.iter().position(|segment| *segment == Segment::Rest);
        // The segments that `**` is short of, or has too many.
        let shift = |at: usize| match rest {
            Some(rest) if at > rest => at + path - self.segments.len(),
            _ => at,
        };
        // Nothing but `**`, where it stands for nothing.
        shift(variable.0)..shift(variable.1)
    }

    /// More than one segment: slashes within the value are not what separates them.
    pub fn spans_several(&self, variable: (usize, usize)) -> bool {
        let segments = &self.segments[variable.0..variable.1];
        segments.len() > 1 || segments.contains(&Segment::Rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read() {
        let template = Template::parse("/v1/{name=shelves/*/books/**}/x:archive").unwrap();
        let literal = |text: &str| Segment::Literal(text.into());
        assert_eq!(
            template.segments,
            [literal("v1"), literal("shelves"), Segment::One, literal("books"), Segment::Rest, literal("x")]
        );
        assert_eq!(template.verb.as_deref(), Some("archive"));
        assert_eq!((template.variables[0].start, template.variables[0].end), (1, 5));
        assert_eq!(template.span((1, 5), 8), 1..7);
        assert_eq!(template.span((1, 5), 5), 1..4);
        assert_eq!(template.span((5, 6), 8), 7..8);
        assert_eq!(Template::parse("/{a.b.c}").unwrap().variables[0].field, "a.b.c");
        assert!(Template::parse("/").unwrap().segments.is_empty());
        assert_eq!(Template::parse("/v1/a:b:c").unwrap().verb.as_deref(), Some("c"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("v1", "begin"),
            ("/v1/", "ends with"),
            ("/v1//a", "empty"),
            ("/v1/{a", "without its"),
            ("/v1/{a}b", "behind"),
            ("/v1/{a}/{a}", "twice"),
            ("/v1/**/b/**", "'**' twice"),
            ("/v1/a*b", "neither"),
            ("/v1/{1a}", "no field"),
            ("/v1/{a=}", "empty"),
            ("/v1/a:", "verb"),
            ("/v1/{a=b/{c}}", "neither"),
            ("/v1/a?b=c", "neither"),
        ] {
            let message = Template::parse(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
