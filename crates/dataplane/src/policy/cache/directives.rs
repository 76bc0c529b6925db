//! `Cache-Control` of requests and responses (RFC 9111 §5.2), and the fields that are for some caches only (RFC 9213).

use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// In the order of preference (RFC 9213 §2.2).
pub const TARGETED: [HeaderName; 2] =
    [HeaderName::from_static("stagedoor-cache-control"), HeaderName::from_static("cdn-cache-control")];

/// What does not fit any more counts as this (RFC 9111 §1.2.2).
pub const LONGEST_S: u64 = 1 << 31;

/// A directive that holds for the whole response or for some of its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Nothing,
    Everything,
    Fields(Vec<HeaderName>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    pub no_store: bool,
    pub no_cache: Scope,
    pub private: Scope,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub immutable: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    /// From a field for some caches only: `Expires` does not count beside it.
    pub targeted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    pub no_store: bool,
    pub no_cache: bool,
    pub only_if_cached: bool,
    pub max_age: Option<u64>,
    /// Without a value: any staleness.
    pub max_stale: Option<u64>,
    pub min_fresh: Option<u64>,
    pub stale_if_error: Option<u64>,
}

impl ResponseDirectives {
    pub fn of(headers: &HeaderMap) -> Self {
        TARGETED.iter().find_map(|name| Self::targeted(headers, name)).unwrap_or_else(|| {
            let mut directives = Self::default();
            each(headers, |name, value| directives.take(name, value));
            directives
        })
    }

    /// None where the field is absent, empty or no dictionary: it does not count then.
    fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        if lines.is_empty() {
            return None;
        }
        let members = Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>().ok()?;
        if members.is_empty() {
            return None;
        }
        let mut directives = Self { targeted: true, ..Self::default() };
        for (name, member) in &members {
            let ListEntry::Item(item) = member else { continue };
            match &item.bare_item {
                BareItem::Boolean(true) => directives.take(name.as_str(), None),
                BareItem::Integer(number) => {
                    directives.take(name.as_str(), Some(i64::from(*number).to_string().as_bytes()));
                }
                BareItem::String(text) => directives.take(name.as_str(), Some(text.as_str().as_bytes())),
                _ => {}
            }
        }
        Some(directives)
    }

    fn take(&mut self, name: &str, value: Option<&[u8]>) {
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache.take(value),
            "private" => self.private.take(value),
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "immutable" => self.immutable = true,
            "must-understand" => self.must_understand = true,
            "max-age" => first(&mut self.max_age, value),
            "s-maxage" => first(&mut self.s_maxage, value),
            "stale-while-revalidate" => first(&mut self.stale_while_revalidate, value),
            "stale-if-error" => first(&mut self.stale_if_error, value),
            _ => {}
        }
    }

    /// A stale response may not be used for other reasons than its own (§4.2.4).
    pub fn forbids_stale(&self) -> bool {
        self.demands_asking() || self.s_maxage.is_some()
    }

    /// How long it may be used stale (RFC 5861): by its own word, even beside `s-maxage`, or else by the route's.
    pub fn stale(&self, told: Option<u64>, route: u64) -> Duration {
        match told {
            _ if self.demands_asking() => Duration::ZERO,
            Some(seconds) => Duration::from_secs(seconds),
            None if self.s_maxage.is_some() => Duration::ZERO,
            None => Duration::from_secs(route),
        }
    }

    /// Stale, it must be asked for again, whatever happens.
    pub fn demands_asking(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.no_cache == Scope::Everything
    }
}

impl RequestDirectives {
    pub fn of(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        each(headers, |name, value| match name {
            "no-store" => directives.no_store = true,
            "no-cache" => directives.no_cache = true,
            "only-if-cached" => directives.only_if_cached = true,
            "max-age" => first(&mut directives.max_age, value),
            "max-stale" if value.is_none() => directives.max_stale = Some(LONGEST_S),
            "max-stale" => first(&mut directives.max_stale, value),
            "min-fresh" => first(&mut directives.min_fresh, value),
            "stale-if-error" => first(&mut directives.stale_if_error, value),
            _ => {}
        });
        // RFC 9111 §5.4: of a client that knows nothing better.
        let pragma = headers.get(http::header::PRAGMA).filter(|_| !headers.contains_key(CACHE_CONTROL));
        directives.no_cache |= pragma.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"no-cache"));
        directives
    }
}

impl Scope {
    fn take(&mut self, value: Option<&[u8]>) {
        let names = value.unwrap_or_default().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let names: Option<Vec<HeaderName>> =
            names.filter(|name| !name.is_empty()).map(|name| HeaderName::from_bytes(name).ok()).collect();
        match names {
            Some(names) if !names.is_empty() && *self != Scope::Everything => match self {
                Scope::Fields(fields) => fields.extend(names),
                _ => *self = Scope::Fields(names),
            },
            // Without names, or with one that is none: nothing is left out that might have been meant.
            _ => *self = Scope::Everything,
        }
    }

    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Scope::Fields(fields) => fields,
            Scope::Nothing | Scope::Everything => &[],
        }
    }
}

/// Of a directive that is given twice the first counts; one without a right value is over at once (§4.2.1).
fn first(place: &mut Option<u64>, value: Option<&[u8]>) {
    if place.is_none() {
        *place = Some(delta_seconds(value.unwrap_or_default()).unwrap_or(0));
    }
}

/// RFC 9111 §1.2.2: digits alone, and as many as one likes.
pub fn delta_seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |sum: u64, digit| (sum * 10 + u64::from(digit - b'0')).min(LONGEST_S)))
}

/// Every directive with its name in lower case and its value without quotes. What is no token is passed over.
fn each(headers: &HeaderMap, mut take: impl FnMut(&str, Option<&[u8]>)) {
    for line in headers.get_all(CACHE_CONTROL) {
        for member in members(line.as_bytes()) {
            let (name, value) = match member.iter().position(|byte| *byte == b'=') {
                Some(equals) => (&member[..equals], Some(&member[equals + 1..])),
                None => (member, None),
            };
            let Ok(name) = HeaderName::from_bytes(name) else { continue };
            match value.and_then(|value| value.strip_prefix(b"\"")).map(|value| value.strip_suffix(b"\"")) {
                Some(Some(quoted)) if quoted.contains(&b'\\') => {
                    let mut bytes = quoted.iter();
                    let mut plain = Vec::with_capacity(quoted.len());
                    while let Some(byte) = bytes.next() {
                        plain.push(if *byte == b'\\' { *bytes.next().unwrap_or(&b'\\') } else { *byte });
                    }
                    take(name.as_str(), Some(&plain));
                }
                Some(Some(quoted)) => take(name.as_str(), Some(quoted)),
                _ => take(name.as_str(), value),
            }
        }
    }
}

/// The members of a list, whose commas do not count within quotes (RFC 9110 §5.6.1).
pub fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        let comma = *byte == b',' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        comma
    })
    .map(<[u8]>::trim_ascii)
    .filter(|member| !member.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn response(value: &'static str) -> ResponseDirectives {
        ResponseDirectives::of(&HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]))
    }

    #[test]
    fn fields_are_named_in_quotes_and_a_wrong_name_is_all_of_them() {
        let (a, b) = (HeaderName::from_static("a"), HeaderName::from_static("b"));
        for (value, scope) in [
            ("max-age=1", Scope::Nothing),
            ("private", Scope::Everything),
            ("private=\"a, B\"", Scope::Fields(vec![a.clone(), b.clone()])),
            ("private=a", Scope::Fields(vec![a.clone()])),
            ("private=\"a\", private=\"b\"", Scope::Fields(vec![a.clone(), b])),
            ("private=\"a\", private", Scope::Everything),
            ("private, private=\"a\"", Scope::Everything),
            ("private=\"a b\"", Scope::Everything),
            ("private=\"\"", Scope::Everything),
            ("x=\"private, no-cache\"", Scope::Nothing),
        ] {
            assert_eq!(response(value).private, scope, "{value}");
        }
    }

    #[test]
    fn requests_are_read_alike() {
        let request = |value: &'static str| {
            RequestDirectives::of(&HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]))
        };
        assert_eq!(request("max-stale").max_stale, Some(LONGEST_S));
        assert_eq!(request("max-stale=5, max-stale").max_stale, Some(LONGEST_S));
        assert_eq!(request("No-Cache, ONLY-if-cached, min-fresh=3").min_fresh, Some(3));
        assert_eq!(request("max-age=x").max_age, Some(0));
        assert!(!request("no-cache2").no_cache);
    }
}
