//! How the end of a message is told: that of a request to the endpoint, that of an answer to the client.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{request, response, HeaderValue, Method, StatusCode};
use http_body::Body as _;

use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Framing follows from the body and from nothing else (RFC 9112 §6.3): a length that the body does not have would let
/// the endpoint take the next request for content.
pub(super) fn set(head: &mut request::Parts, body: &Body) {
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

/// Leaves an answer with one length at most, the one by which it was read (RFC 9112 §6.3). `length` is that of its
/// content, if it is known. A transfer coding beside `chunked` was not undone and is no longer announced when the answer
/// is passed on, so such an answer is refused.
pub(super) fn settle(head: &mut response::Parts, length: Option<u64>) -> Result<(), Error> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => {
            return Err(Error::new(
                Kind::BadReply,
                "the service's response has a transfer coding that is not supported",
            ))
        }
    };
    if chunked || head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
        return Ok(());
    }
    let mut given = head.headers.get_all(CONTENT_LENGTH).iter();
    if let (Some(first), Some(_)) = (given.next(), given.next()) {
        // The parser has seen that they agree. The content of an answer to HEAD has no length that counts.
        let one = length.filter(|length| *length > 0).map_or_else(|| first.clone(), HeaderValue::from);
        head.headers.insert(CONTENT_LENGTH, one);
    }
    Ok(())
}
