//! The fields of a response that say something of its content, which compression changes.

use http::header::{Entry, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::accepted::Accepted;
use crate::snapshot::Algorithm;

/// Digests of the content or of the representation, its coding included (RFC 9530 §2 and §3, RFC 3230, RFC 1864).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// `Cache-Control: no-transform` (RFC 9111 §5.2.1.6 and §5.2.2.6).
pub fn forbids_transformation(headers: &HeaderMap) -> bool {
    has_member(headers, &CACHE_CONTROL, b"no-transform")
}

/// Adds `Accept-Encoding` unless it is there (RFC 9110 §12.5.5).
pub fn vary(headers: &mut HeaderMap) {
    if !has_member(headers, &VARY, b"*") && !has_member(headers, &VARY, b"accept-encoding") {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// The fields of the compressed response.
pub fn rewrite(headers: &mut HeaderMap, algorithm: Algorithm) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(algorithm.as_str()));
    headers.remove(CONTENT_LENGTH);
    // A range of the endpoint's would be one of other bytes.
    headers.remove(ACCEPT_RANGES);
    remove_digests(headers);
    weaken(headers);
}

pub fn remove_digests(headers: &mut HeaderMap) {
    for name in &DIGESTS {
        headers.remove(name);
    }
}

/// A 304 must name the tag that the client has (RFC 9111 §4.3.4), and that of a compressed response is weak.
pub fn weaken_revalidated(headers: &mut HeaderMap, accepted: &Accepted) {
    let has = |tag: &[u8]| accepted.tags.as_ref().is_some_and(|tags| holds_weak(tags.as_bytes(), tag));
    if headers.get(ETAG).is_some_and(|tag| has(tag.as_bytes())) {
        weaken(headers);
        vary(headers);
    }
}

/// A strong tag stands for the bytes as they were sent (RFC 9110 §8.8.1).
pub fn weaken(headers: &mut HeaderMap) {
    let Entry::Occupied(mut tag) = headers.entry(ETAG) else {
        return;
    };
    if tag.get().as_bytes().starts_with(b"W/") {
        return;
    }
    match HeaderValue::from_bytes(&[b"W/", tag.get().as_bytes()].concat()) {
        Ok(weak) => {
            tag.insert(weak);
        }
        Err(_) => {
            tag.remove();
        }
    }
}

/// `W/` and then the strong `tag` stands in a list of tags.
fn holds_weak(tags: &[u8], tag: &[u8]) -> bool {
    tag.starts_with(b"\"") && tags.windows(tag.len() + 2).any(|part| part.starts_with(b"W/") && &part[2..] == tag)
}

fn has_member(headers: &HeaderMap, name: &HeaderName, member: &[u8]) -> bool {
    let members = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).any(|found| found.eq_ignore_ascii_case(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn vary_is_merged_and_never_said_twice() {
        for (before, after) in [
            (None, vec!["accept-encoding"]),
            (Some("origin"), vec!["origin", "accept-encoding"]),
            (Some("Origin, Accept-Encoding"), vec!["Origin, Accept-Encoding"]),
            (Some("*"), vec!["*"]),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(before.map(|value| (VARY, HeaderValue::from_static(value))));
            vary(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), after);
        }
    }

    #[test]
    fn what_was_said_of_the_plain_bytes_is_gone_and_a_strong_tag_is_weak() {
        let mut headers = fields(&[
            ("content-type", "text/html"),
            ("content-length", "5"),
            ("content-md5", "x"),
            ("digest", "x"),
            ("content-digest", "x"),
            ("repr-digest", "x"),
            ("accept-ranges", "bytes"),
            ("content-encoding", "identity"),
            ("etag", "\"v1\""),
        ]);
        rewrite(&mut headers, Algorithm::Br);
        let expected = [("content-type", "text/html"), ("content-encoding", "br"), ("etag", "W/\"v1\"")];
        assert_eq!(headers, fields(&expected));
        rewrite(&mut headers, Algorithm::Br);
        assert_eq!(headers, fields(&expected), "a weak tag stays as it is");
    }

    #[test]
    fn a_304_names_the_tag_that_the_client_has() {
        for (asked, told) in [
            ("W/\"v1\"", "W/\"v1\""),
            ("\"v0\", W/\"v1\"", "W/\"v1\""),
            ("\"v1\"", "\"v1\""),
            ("W/\"v10\"", "\"v1\""),
            ("*", "\"v1\""),
        ] {
            let asked = fields(&[("if-none-match", asked)]);
            let mut headers = fields(&[("etag", "\"v1\"")]);
            weaken_revalidated(&mut headers, &Accepted::of(&asked, &[Algorithm::Gzip]));
            assert_eq!(headers[ETAG], told);
        }
    }
}
