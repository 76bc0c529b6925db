//! A version that media types tell: by a parameter (`application/json; version=2`), or by their name
//! (`application/vnd.shop.v2+json`).

use std::ops::Range;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::marker::Marked;
use crate::policy::cache::directives::members;

pub enum MediaMarker {
    Parameter(Box<str>),
    /// What stands before and after the version, and the type without it.
    Named {
        before: Box<str>,
        after: Box<str>,
        plain: Box<str>,
    },
}

/// What stands for the version in a type's name.
const PLACE: &str = "{version}";

impl MediaMarker {
    pub fn parameter(name: &str) -> Self {
        Self::Parameter(name.to_ascii_lowercase().into())
    }

    pub fn named(template: &str) -> Result<Self, String> {
        let lower = template.to_ascii_lowercase();
        let parts = lower.split_once(PLACE).and_then(|(before, after)| {
            let (kind, _) = before.split_once('/')?;
            let plain = format!("{kind}/{}", after.strip_prefix('+')?);
            Some(Self::Named { before: before.into(), after: after.into(), plain: plain.into() })
        });
        parts.ok_or_else(|| format!("'{template}' is not such as application/vnd.shop.{{version}}+json"))
    }

    pub fn describe(&self) -> String {
        match self {
            Self::Parameter(name) => format!("the media type's parameter '{name}'"),
            Self::Named { before, after, .. } => format!("the media type {before}{PLACE}{after}"),
        }
    }

    /// Of the types that a client accepts the best one whose version is known.
    pub fn accepted(&self, headers: &HeaderMap, find: impl Fn(&str) -> Option<usize>) -> Marked {
        let (mut best, mut any) = (None, false);
        for member in texts(headers, &ACCEPT) {
            let Some(at) = self.place(member) else { continue };
            let quality = quality(member);
            if quality == 0 {
                continue;
            }
            any = true;
            if let Some(version) = find(&member[at]) {
                // The first of several that are as good.
                if best.is_none_or(|(_, other)| quality > other) {
                    best = Some((version, quality));
                }
            }
        }
        match best {
            Some((version, _)) => Marked::Version(version),
            None if any => Marked::Unknown,
            None => Marked::Nothing,
        }
    }

    /// That of the request's own content.
    pub fn sent(&self, headers: &HeaderMap, find: impl Fn(&str) -> Option<usize>) -> Marked {
        let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match text.and_then(|text| Some((text, self.place(text)?))) {
            None => Marked::Nothing,
            Some((text, at)) => find(&text[at]).map_or(Marked::Unknown, Marked::Version),
        }
    }

    /// Lets every type that tells a version tell this one, or none.
    pub fn write(&self, headers: &mut HeaderMap, field: &HeaderName, name: Option<&str>) {
        if !texts(headers, field).any(|member| self.place(member).is_some()) {
            return;
        }
        let made = texts(headers, field).map(|member| self.with(member, name)).collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::from_str(&made) {
            headers.insert(field, value);
        }
    }

    /// Lets the content of an answer tell the version that its client has asked for, where it tells one or did so before the
    /// target was asked.
    pub fn answer(&self, headers: &mut HeaderMap, name: &str, stripped: bool) {
        let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return };
        let made = match (self.place(text), self) {
            (Some(_), _) => self.with(text, Some(name)),
            (None, _) if !stripped || is_problem(text) => return,
            (None, Self::Parameter(parameter)) => format!("{text}; {parameter}={name}"),
            (None, Self::Named { before, after, plain }) => match split(text) {
                (essence, rest) if essence.eq_ignore_ascii_case(plain) => format!("{before}{name}{after}{rest}"),
                _ => return,
            },
        };
        if let Ok(value) = HeaderValue::from_str(&made) {
            headers.insert(CONTENT_TYPE, value);
        }
    }

    /// Where a type tells its version.
    fn place(&self, text: &str) -> Option<Range<usize>> {
        match self {
            Self::Parameter(name) => parameter(text, name).map(|(_, value)| value),
            Self::Named { before, after, .. } => {
                let (essence, _) = split(text);
                let lower = essence.to_ascii_lowercase();
                let version = lower.strip_prefix(&**before)?.strip_suffix(&**after)?;
                (!version.is_empty()).then(|| before.len()..before.len() + version.len())
            }
        }
    }

    /// The type with another version, or without one.
    fn with(&self, text: &str, name: Option<&str>) -> String {
        let Some(at) = self.place(text) else { return text.to_owned() };
        match (name, self) {
            (Some(name), _) => format!("{}{name}{}", &text[..at.start], &text[at.end..]),
            (None, Self::Named { plain, .. }) => format!("{plain}{}", split(text).1),
            (None, Self::Parameter(name)) => {
                let whole = parameter(text, name).map_or(at, |(whole, _)| whole);
                format!("{}{}", text[..whole.start].trim_end(), &text[whole.end..])
            }
        }
    }
}

fn texts<'a>(headers: &'a HeaderMap, field: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(field).iter().flat_map(|line| members(line.as_bytes()));
    lines.filter_map(|member| std::str::from_utf8(member).ok()).filter(|member| !member.is_empty())
}

/// A type and its parameters, which begin with their semicolon.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(';').unwrap_or(text.len());
    (text[..end].trim(), &text[end..])
}

/// A parameter with its semicolon, and its value without quotes.
fn parameter(text: &str, name: &str) -> Option<(Range<usize>, Range<usize>)> {
    let mut at = text.find(';')?;
    while at < text.len() {
        let end = text[at + 1..].find(';').map_or(text.len(), |next| at + 1 + next);
        let (key, value) = text[at + 1..end].split_once('=').unwrap_or((&text[at + 1..end], &text[end..end]));
        if key.trim().eq_ignore_ascii_case(name) {
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            let start = value.as_ptr() as usize - text.as_ptr() as usize;
            return Some((at..end, start..start + value.len()));
        }
        at = end;
    }
    None
}

/// In thousandths; 1 unless it is said (RFC 9110 §12.4.2).
fn quality(text: &str) -> u32 {
    let Some((_, at)) = parameter(text, "q") else { return 1000 };
    text[at].parse::<f32>().map_or(0, |quality| (quality.clamp(0.0, 1.0) * 1000.0) as u32)
}

/// Errors of the gateway's own, and of services, are of no version.
fn is_problem(text: &str) -> bool {
    let (essence, _) = split(text);
    essence.eq_ignore_ascii_case("application/problem+json") || essence.eq_ignore_ascii_case("application/problem+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(marker: &MediaMarker, text: &'static str) -> Marked {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(text))]);
        marker.accepted(&headers, |name| ["v1", "v2", "1", "2"].iter().position(|known| *known == name))
    }

    #[test]
    fn the_best_known_version_that_is_accepted_counts() {
        let named = MediaMarker::named("application/vnd.shop.{version}+json").expect("valid");
        let parameter = MediaMarker::parameter("version");
        for (marker, text, expected) in [
            (&named, "application/vnd.shop.v2+json", Marked::Version(1)),
            (&named, "Application/VND.shop.v1+json; charset=utf-8", Marked::Version(0)),
            (&named, "application/vnd.shop.v1+json;q=0.5, application/vnd.shop.v2+json;q=0.9", Marked::Version(1)),
            (&named, "application/vnd.shop.v9+json, application/vnd.shop.v1+json;q=0.1", Marked::Version(0)),
            (&named, "application/vnd.shop.v9+json, */*", Marked::Unknown),
            (&named, "application/vnd.shop.v1+json;q=0, */*", Marked::Nothing),
            (&named, "application/json, */*", Marked::Nothing),
            (&named, "application/vnd.shop.+json", Marked::Nothing),
            (&parameter, "application/json; version=2", Marked::Version(3)),
            (&parameter, "application/json;q=0.2 ; Version=\"1\"", Marked::Version(2)),
            (&parameter, "application/json;version=3", Marked::Unknown),
            (&parameter, "application/json;version", Marked::Unknown),
            (&parameter, "application/json", Marked::Nothing),
        ] {
            assert_eq!(accept(marker, text), expected, "{text}");
        }
    }

    #[test]
    fn types_tell_another_version_or_none() {
        let named = MediaMarker::named("application/vnd.shop.{version}+json").expect("valid");
        let parameter = MediaMarker::parameter("version");
        for (marker, text, name, expected) in [
            (&named, "application/vnd.shop.v1+json;q=0.5", Some("v2"), "application/vnd.shop.v2+json;q=0.5"),
            (&named, "application/vnd.shop.v1+json;q=0.5", None, "application/json;q=0.5"),
            (&named, "text/html", None, "text/html"),
            (&parameter, "application/json; version=1;q=0.5", Some("2"), "application/json; version=2;q=0.5"),
            (&parameter, "application/json ;version=\"1\"; q=0.5", None, "application/json; q=0.5"),
        ] {
            assert_eq!(marker.with(text, name), expected);
        }
    }
}
