//! Where a request says which version it asks for, and how the target is told which one it is asked for.

use std::borrow::Cow;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::media_type::MediaMarker;
use super::Api;
use crate::route::condition::{decodes_to, form_decoded, pairs};
use crate::snapshot::VersionMarker;

pub enum Marker {
    /// A segment of the path, which the route knows.
    Path,
    Header(HeaderName),
    Query(Box<str>),
    Media(MediaMarker),
    /// The names of the versions are dates: the latest one not after the header's.
    Date(HeaderName),
}

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    Nothing,
    Version(usize),
    /// One that there is not, or several at once.
    Unknown,
}

impl Marked {
    fn of(found: Option<usize>) -> Self {
        found.map_or(Marked::Unknown, Marked::Version)
    }

    /// Two markers that agree are one.
    fn and(self, other: Marked) -> Self {
        match (self, other) {
            (Marked::Nothing, one) | (one, Marked::Nothing) => one,
            (one, other) if one == other => one,
            _ => Marked::Unknown,
        }
    }
}

impl Marker {
    pub fn compile(settings: &VersionMarker) -> Result<Self, String> {
        let header =
            |name: &str| HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is not a header name"));
        Ok(match settings {
            VersionMarker::Path => Marker::Path,
            VersionMarker::Header(name) => Marker::Header(header(name)?),
            VersionMarker::Date(name) => Marker::Date(header(name)?),
            VersionMarker::Query(name) => Marker::Query(name.as_str().into()),
            VersionMarker::MediaParameter(name) => Marker::Media(MediaMarker::parameter(name)),
            VersionMarker::MediaType(template) => Marker::Media(MediaMarker::named(template)?),
        })
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Marker::Path => "the path's segment".to_owned(),
            Marker::Header(name) => format!("the header '{name}'"),
            Marker::Date(name) => format!("the date in the header '{name}'"),
            Marker::Query(name) => format!("the query parameter '{name}'"),
            Marker::Media(marker) => marker.describe(),
        }
    }

    /// What answers vary by, where that is not in their URL.
    pub fn varies_by(&self) -> Option<&HeaderName> {
        match self {
            Marker::Header(name) | Marker::Date(name) => Some(name),
            Marker::Media(_) => Some(&ACCEPT),
            Marker::Path | Marker::Query(_) => None,
        }
    }

    /// `segment`: of the path, empty where it has none.
    pub fn read(&self, api: &Api, headers: &HeaderMap, query: Option<&str>, segment: &str) -> Marked {
        match self {
            Marker::Path if segment.is_empty() => Marked::Nothing,
            Marker::Path => Marked::of(api.find(segment)),
            Marker::Header(name) => {
                let versions =
                    headers.get_all(name).iter().map(|value| value.to_str().ok().and_then(|text| api.find(text)));
                versions.map(Marked::of).fold(Marked::Nothing, Marked::and)
            }
            Marker::Date(name) => {
                let versions =
                    headers.get_all(name).iter().map(|value| value.to_str().ok().and_then(|text| api.at(text)));
                versions.map(Marked::of).fold(Marked::Nothing, Marked::and)
            }
            Marker::Query(name) => {
                let values = pairs(query.unwrap_or_default()).filter(|(key, _)| decodes_to(key, name));
                let versions = values.map(|(_, value)| match value.contains(['%', '+']) {
                    false => api.find(value),
                    true => String::from_utf8(form_decoded(value).collect()).ok().and_then(|text| api.find(&text)),
                });
                versions.map(Marked::of).fold(Marked::Nothing, Marked::and)
            }
            Marker::Media(marker) => {
                // Names of media types are the same in any case (RFC 9110 §8.3.1).
                let find = |text: &str| api.find(text).or_else(|| api.find(&text.to_ascii_lowercase()));
                marker.accepted(headers, find).and(marker.sent(headers, find))
            }
        }
    }

    /// Lets headers tell the version `name`, or none.
    pub fn write_headers(&self, headers: &mut HeaderMap, name: Option<&str>) {
        match self {
            Marker::Path | Marker::Query(_) => {}
            Marker::Header(field) | Marker::Date(field) => match name.map(HeaderValue::from_str) {
                Some(Ok(value)) => drop(headers.insert(field, value)),
                _ => drop(headers.remove(field)),
            },
            Marker::Media(marker) => [ACCEPT, CONTENT_TYPE].iter().for_each(|field| marker.write(headers, field, name)),
        }
    }

    /// The query with the version `name` in place of what it tells, or without it; None: as it is.
    pub fn write_query(&self, query: Option<&str>, name: Option<&str>) -> Option<String> {
        let Marker::Query(key) = self else { return None };
        let told = |pair: &&str| decodes_to(pair.split('=').next().unwrap_or_default(), key);
        let all = || query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        if name.is_none() && !all().any(|pair| told(&pair)) {
            return None;
        }
        let mut left: Vec<Cow<'_, str>> = all().filter(|pair| !told(pair)).map(Cow::Borrowed).collect();
        if let Some(name) = name {
            let mut pair = String::new();
            crate::evaluation::put_parameter(&mut pair, key, name);
            left.push(Cow::Owned(pair));
        }
        Some(left.join("&"))
    }
}

/// The path with the version `name` as its `nth` segment in place of what is there, or without that segment.
pub fn write_path(path: &str, nth: usize, name: Option<&str>) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    // The first is what stands before the first slash, which is nothing.
    match (segments.get_mut(nth + 1), name) {
        (Some(segment), Some(name)) => *segment = name,
        (Some(_), None) => drop(segments.remove(nth + 1)),
        (None, _) => {}
    }
    match segments.join("/") {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_another_version_or_none() {
        assert_eq!(write_path("/shop/v1/items/7", 1, None), "/shop/items/7");
        assert_eq!(write_path("/shop/v1/items/7", 1, Some("v2")), "/shop/v2/items/7");
        assert_eq!(write_path("/v1", 0, None), "/");
        assert_eq!(write_path("/v1/", 0, None), "/");
    }

    #[test]
    fn a_query_is_told_another_version_or_none() {
        let marker = Marker::Query("v".into());
        assert_eq!(marker.write_query(Some("a=1&v=1&b"), Some("2")).as_deref(), Some("a=1&b&v=2"));
        assert_eq!(marker.write_query(Some("v=1&a=%20"), None).as_deref(), Some("a=%20"));
        assert_eq!(marker.write_query(Some("a"), None), None);
        assert_eq!(marker.write_query(None, Some("2")).as_deref(), Some("v=2"));
    }
}
