//! Secondary keys: the fields of a request that `Vary` names (RFC 9111 §4.1), in normal form.

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::directives::members;

/// Content codings that tell responses apart; all others count as if they had not been named.
const CODINGS: [&str; 5] = ["br", "deflate", "gzip", "zstd", "compress"];

/// A field's value in normal form; None where it is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Normal(Option<Box<[u8]>>);

impl Normal {
    /// Of all lines of the field as one list: white space around its members does not count, nor does the case of what is
    /// said case-insensitively.
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut lines = headers.get_all(name).iter().peekable();
        if lines.peek().is_none() {
            return Self(None);
        }
        if name == ACCEPT_ENCODING {
            return Self(Some(codings(headers).into_bytes().into()));
        }
        let mut whole = Vec::new();
        for member in lines.flat_map(|line| members(line.as_bytes())) {
            if !whole.is_empty() {
                whole.extend_from_slice(b", ");
            }
            whole.extend_from_slice(member);
        }
        if name == ACCEPT_LANGUAGE || name == ACCEPT {
            whole.make_ascii_lowercase();
        }
        Self(Some(whole.into()))
    }

    /// As it was before a restart.
    pub fn again(value: Box<[u8]>) -> Self {
        Self(Some(value))
    }

    pub fn bytes_of(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    pub fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.0.as_deref()?).ok()
    }

    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |value| value.len())
    }
}

/// The known codings that are accepted, sorted; a client's preferences among them do not make a variant.
fn codings(headers: &HeaderMap) -> String {
    let mut accepted: Vec<&str> = Vec::new();
    let mut refused = false;
    for line in headers.get_all(ACCEPT_ENCODING) {
        for member in members(line.as_bytes()) {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let zero = parts.filter_map(|part| part.strip_prefix(b"q=").or(part.strip_prefix(b"Q=")));
            let zero = zero.into_iter().any(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')));
            if name.eq_ignore_ascii_case(b"identity") {
                refused |= zero;
            }
            let known = CODINGS.iter().find(|coding| name.eq_ignore_ascii_case(coding.as_bytes()));
            accepted.extend(known.filter(|_| !zero));
        }
    }
    accepted.sort_unstable();
    accepted.dedup();
    let mut text = accepted.join(", ");
    if refused {
        text.push_str(if text.is_empty() { "identity;q=0" } else { ", identity;q=0" });
    }
    text
}

/// What a response's `Vary` names, sorted; None where nothing can be told apart by it (`*`, or what is no name).
pub fn names(headers: &HeaderMap) -> Option<Arc<[HeaderName]>> {
    let mut names = Vec::new();
    for line in headers.get_all(VARY) {
        for member in members(line.as_bytes()).filter(|member| !member.is_empty()) {
            if member == b"*" {
                return None;
            }
            names.push(HeaderName::from_bytes(member).ok()?);
        }
    }
    names.sort_by(|one, two| one.as_str().cmp(two.as_str()));
    names.dedup();
    Some(names.into())
}

/// The values of what `Vary` names, in its order.
pub fn select(headers: &HeaderMap, names: &[HeaderName]) -> Box<[Normal]> {
    names.iter().map(|name| Normal::of(headers, name)).collect()
}
