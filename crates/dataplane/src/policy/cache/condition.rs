//! Conditions of requests, as a cache evaluates them (RFC 9111 §4.3.2), and its own towards the service (§4.3.1).

use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue};

use super::directives::members;
use super::entry::Stored;
use super::freshness::date;

/// The client has it already.
pub fn not_modified(request: &HeaderMap, headers: &HeaderMap, received_s: u64) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let tag = headers.get(ETAG).map(|tag| weak(tag.as_bytes()));
        let mut asked = request.get_all(IF_NONE_MATCH).iter().flat_map(|line| members(line.as_bytes()));
        return asked.any(|asked| asked == b"*" || Some(weak(asked)) == tag);
    }
    let Some(since) = date(request, &IF_MODIFIED_SINCE) else { return false };
    let changed = date(headers, &LAST_MODIFIED).or_else(|| date(headers, &DATE)).unwrap_or(received_s);
    changed <= since
}

/// RFC 9110 §8.8.3.2: the weak comparison looks at the opaque part alone.
fn weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// A range is of what the client has (§13.1.5): only a strong validator that is exactly the same says so.
pub fn range_holds(request: &HeaderMap, headers: &HeaderMap) -> bool {
    let Some(condition) = request.get(IF_RANGE) else { return true };
    if condition.as_bytes().starts_with(b"\"") {
        return headers.get(ETAG) == Some(condition);
    }
    // A date is strong once it lies a minute before the response's own (§8.8.2.2).
    let (Some(asked), Some(changed)) = (date(request, &IF_RANGE), date(headers, &LAST_MODIFIED)) else { return false };
    asked == changed && date(headers, &DATE).is_some_and(|generated| generated >= changed + 60)
}

/// What the service is asked with.
pub fn ask(request: &mut HeaderMap, stored: &Stored) {
    request.extend(stored.headers.get(ETAG).map(|tag| (IF_NONE_MATCH, tag.clone())));
    request.extend(stored.headers.get(LAST_MODIFIED).map(|changed| (IF_MODIFIED_SINCE, changed.clone())));
}

/// A 304 is about what is stored and not about something else (RFC 9111 §4.3.4).
pub fn is_about(update: &HeaderMap, stored: &HeaderMap) -> bool {
    let same = |name, normal: fn(&[u8]) -> &[u8]| match (update.get(&name), stored.get(&name)) {
        (Some(new), Some(old)) => Some(normal(HeaderValue::as_bytes(new)) == normal(HeaderValue::as_bytes(old))),
        (Some(_), None) => Some(false),
        (None, _) => None,
    };
    same(ETAG, weak).or_else(|| same(LAST_MODIFIED, |value| value)).unwrap_or(true)
}
