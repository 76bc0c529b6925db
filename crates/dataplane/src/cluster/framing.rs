//! How a request's end is told to the endpoint.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{request, HeaderValue, Method, Version};
use http_body::Body as _;

use crate::protocol::body::Body;

/// Framing follows from the body and from nothing else (RFC 9112 §6.3): a length that the body does not have would let
/// the endpoint take the next request for content. hyper would also drop the streamed body of a GET without these.
pub(super) fn set(head: &mut request::Parts, body: &Body) {
    head.version = Version::HTTP_11;
    head.headers.remove(TRANSFER_ENCODING);
    let Some(length) = body.size_hint().exact() else {
        head.headers.remove(CONTENT_LENGTH);
        head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        return;
    };
    let mut given = head.headers.get_all(CONTENT_LENGTH).iter();
    let right = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().is_ok_and(|value| value.parse() == Ok(length)),
        // RFC 9110 §8.6: a length of 0 is said where the method anticipates content.
        (None, _) => length == 0 && !matches!(head.method, Method::POST | Method::PUT | Method::PATCH),
        _ => false,
    };
    if !right {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
