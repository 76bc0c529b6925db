//! Fields of HTTP as metadata of calls, and back. Both are the same lines; what is left out speaks of the message that was
//! translated, or is the protocol's own.

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPECT, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::protocol::grpc;

const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Those of the message, which becomes another.
const OF_REQUESTS: [HeaderName; 14] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    EXPECT,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];
const OF_ANSWERS: [HeaderName; 9] = [
    ACCEPT_RANGES,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
];

/// The head of a call. Its time is told where it is known: just before it is sent.
pub(super) fn request(headers: &mut HeaderMap) {
    remove_own(headers);
    for name in OF_REQUESTS {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(ACCEPTED, HeaderValue::from_static("gzip"));
    headers.insert(grpc::TIMEOUT, HeaderValue::from_static("0n"));
    grpc::welcome_trailers(headers);
}

/// What a client sees of a service's metadata.
pub fn answer(headers: &mut HeaderMap) {
    remove_own(headers);
    for name in OF_ANSWERS {
        headers.remove(name);
    }
}

/// The metadata that comes behind the messages.
pub(super) fn trailers(trailers: &mut HeaderMap) {
    answer(trailers);
    crate::cluster::hop_by_hop::strip_trailers(trailers);
}

/// `grpc-` is the protocol's own.
pub fn remove_own(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("grpc-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

/// Whether compressed messages are compressed with gzip.
pub fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get(ENCODING).is_some_and(|encoding| encoding.as_bytes() == b"gzip")
}
