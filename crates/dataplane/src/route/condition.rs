//! Conditions on headers and query parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::api::marker::Marked;
use crate::api::Api;

use crate::snapshot::ValueMatch;

#[derive(Clone, Default)]
pub struct Conditions {
    /// Fulfilled by any one line of the field.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// Names and values are compared decoded; fulfilled by any one occurrence.
    pub query: Vec<(Box<str>, ValueMatch)>,
    /// Of its API those that a route answers; None is all.
    pub versions: Option<Versions>,
}

/// Some of an API's.
#[derive(Clone)]
pub struct Versions {
    pub api: Arc<Api>,
    pub allowed: Box<[bool]>,
}

impl Versions {
    pub fn compile(api: &Arc<Api>, names: &[String]) -> Result<Self, String> {
        let mut allowed = vec![false; api.versions.len()];
        for name in names {
            let index = api.find(name).ok_or_else(|| format!("versions: there is no version '{name}'"))?;
            allowed[index] = true;
        }
        Ok(Self { api: api.clone(), allowed: allowed.into() })
    }

    /// For people.
    pub fn names(&self) -> Vec<&str> {
        let allowed = self.api.versions.iter().zip(&self.allowed).filter(|(_, allowed)| **allowed);
        allowed.map(|(version, _)| &*version.name).collect()
    }

    pub fn allows(&self, version: usize) -> bool {
        self.allowed.get(version).copied().unwrap_or(false)
    }

    /// Whether a request is of one of them by what it says itself. One for a version that there is not is told so by
    /// whichever route of the API it finds.
    fn hold(&self, headers: &HeaderMap, query: Option<&str>, segment: &str) -> bool {
        let marked: Marked = self.api.read(headers, query, segment);
        self.api.choose(marked, None).is_none_or(|(version, _)| self.allows(version))
    }

    fn is_within(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.api, &other.api) && self.allowed.iter().zip(&other.allowed).all(|(one, two)| !one || *two)
    }

    fn meets(&self, other: &Self) -> bool {
        !Arc::ptr_eq(&self.api, &other.api) || self.allowed.iter().zip(&other.allowed).any(|(one, two)| *one && *two)
    }
}

impl Conditions {
    pub fn compile(
        headers: &BTreeMap<String, ValueMatch>,
        query: &BTreeMap<String, ValueMatch>,
    ) -> Result<Self, String> {
        let mut conditions = Self::default();
        for (name, value) in headers {
            let header =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is not a header name"))?;
            if conditions.headers.iter().any(|(known, _)| *known == header) {
                return Err(format!("the header '{header}' has two conditions"));
            }
            conditions.headers.push((header, value.clone()));
        }
        conditions.query = query.iter().map(|(name, value)| (name.as_str().into(), value.clone())).collect();
        Ok(conditions)
    }

    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.versions.is_none()
    }

    pub fn headers_hold(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|condition| header_holds(condition, headers))
    }

    /// `segment`: of the path, which names a version.
    pub fn version_holds(&self, headers: &HeaderMap, query: Option<&str>, segment: &str) -> bool {
        self.versions.as_ref().is_none_or(|versions| versions.hold(headers, query, segment))
    }

    pub fn query_holds(&self, query: Option<&str>) -> bool {
        self.query.iter().all(|condition| query_holds(condition, query))
    }

    /// More is more specific: header conditions, among which versions count, query conditions, and how many of both name a
    /// value.
    pub fn rank(&self) -> (usize, usize, usize) {
        let exact = |value: &&ValueMatch| matches!(value, ValueMatch::Exact(_));
        let values = self.headers.iter().map(|(_, value)| value).chain(self.query.iter().map(|(_, value)| value));
        let versions = usize::from(self.versions.is_some());
        (self.headers.len() + versions, self.query.len(), values.filter(exact).count() + versions)
    }

    /// Whether one request can fulfil both. A field may come twice, so two values of one name do not exclude each
    /// other in principle; here they do, since nobody means that.
    pub fn compatible(&self, other: &Self) -> bool {
        let clash = |one: &ValueMatch, two: &ValueMatch| match (one, two) {
            (ValueMatch::Exact(one), ValueMatch::Exact(two)) => one != two,
            _ => false,
        };
        !self.headers.iter().any(|(name, one)| other.headers.iter().any(|(key, two)| name == key && clash(one, two)))
            && !self.query.iter().any(|(name, one)| other.query.iter().any(|(key, two)| name == key && clash(one, two)))
            && self.versions.as_ref().zip(other.versions.as_ref()).is_none_or(|(one, two)| one.meets(two))
    }

    /// Whether every request that fulfils `other` fulfils these.
    pub fn implied_by(&self, other: &Self) -> bool {
        let weaker = |one: &ValueMatch, two: &ValueMatch| *one == ValueMatch::Present || one == two;
        self.headers.iter().all(|(name, one)| other.headers.iter().any(|(key, two)| name == key && weaker(one, two)))
            && self.query.iter().all(|(name, one)| other.query.iter().any(|(key, two)| name == key && weaker(one, two)))
            && self.versions.as_ref().is_none_or(|one| other.versions.as_ref().is_some_and(|two| two.is_within(one)))
    }
}

pub fn header_holds((name, expected): &(HeaderName, ValueMatch), headers: &HeaderMap) -> bool {
    match expected {
        ValueMatch::Present => headers.contains_key(name),
        ValueMatch::Exact(text) => headers.get_all(name).iter().any(|value| value.as_bytes() == text.as_bytes()),
    }
}

pub fn query_holds((name, expected): &(Box<str>, ValueMatch), query: Option<&str>) -> bool {
    pairs(query.unwrap_or_default()).filter(|(key, _)| decodes_to(key, name)).any(|(_, value)| match expected {
        ValueMatch::Present => true,
        ValueMatch::Exact(text) => decodes_to(value, text),
    })
}

/// The `name=value` pairs of a query, undecoded.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether `raw`, decoded as a form (`+` is a space), is `text`; without allocation.
pub fn decodes_to(raw: &str, text: &str) -> bool {
    form_decoded(raw).eq(text.bytes())
}

/// The bytes of a name or value of a query; an incomplete escape stands for itself.
pub fn form_decoded(raw: &str) -> impl Iterator<Item = u8> + '_ {
    let bytes = raw.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        at += 1;
        match byte {
            b'+' => Some(b' '),
            b'%' => {
                let digit = |byte: &u8| (*byte as char).to_digit(16).map(|value| value as u8);
                match (bytes.get(at).and_then(digit), bytes.get(at + 1).and_then(digit)) {
                    (Some(high), Some(low)) => {
                        at += 2;
                        Some(high << 4 | low)
                    }
                    _ => Some(b'%'),
                }
            }
            _ => Some(byte),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(headers: &[(&str, Option<&str>)], query: &[(&str, Option<&str>)]) -> Conditions {
        let map = |pairs: &[(&str, Option<&str>)]| {
            let value = |text: &Option<&str>| text.map_or(ValueMatch::Present, |text| ValueMatch::Exact(text.into()));
            pairs.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect()
        };
        Conditions::compile(&map(headers), &map(query)).expect("valid")
    }

    #[test]
    fn a_query_condition_compares_decoded_names_and_values() {
        let one = conditions(&[], &[("a b", Some("x&y")), ("flag", None)]);
        assert!(one.query_holds(Some("flag&a+b=x%26y")));
        assert!(one.query_holds(Some("a%20b=no&a%20b=x%26y&flag=1")));
        assert!(!one.query_holds(Some("a+b=x&y&flag")));
        assert!(!one.query_holds(Some("a+b=x%26y")));
        assert!(!one.query_holds(None));
        assert!(conditions(&[], &[("p", Some("100%"))]).query_holds(Some("p=100%")));
    }

    #[test]
    fn a_header_condition_is_fulfilled_by_any_one_line() {
        let one = conditions(&[("x-version", Some("2"))], &[]);
        let mut headers = HeaderMap::new();
        headers.append("x-version", http::HeaderValue::from_static("1"));
        assert!(!one.headers_hold(&headers));
        headers.append("x-version", http::HeaderValue::from_static("2"));
        assert!(one.headers_hold(&headers));
    }
}
