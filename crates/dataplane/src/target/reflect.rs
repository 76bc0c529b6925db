//! The answer to `TRACE` (RFC 9110 §9.3.8), where a route names it: the request as it came to its target, less whatever
//! may be secret. The gateway is always the one that answers: an endpoint would show its client what the gateway adds.

use http::header::{
    HeaderName, ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HOST, MAX_FORWARDS,
    USER_AGENT, VIA, X_CONTENT_TYPE_OPTIONS,
};
use http::{request, HeaderValue, Response};
use http_body::Body as _;

use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// What tells of the way of a request. Any other field may hold a credential: keys are taken from any header.
const SHOWN: [HeaderName; 12] = [
    HOST,
    VIA,
    MAX_FORWARDS,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
    USER_AGENT,
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
];

/// Errors: `BadRequest` for content, which the method has none of.
pub fn respond(head: &request::Parts, body: &Body) -> Result<Response<Body>, Error> {
    if !body.is_end_stream() {
        return Err(Error::new(Kind::BadRequest, "A TRACE request has no content"));
    }
    // Without its query, in which a key may stand as well.
    let mut message = format!("TRACE {} {:?}\r\n", head.uri.path(), head.version).into_bytes();
    for name in &SHOWN {
        for value in head.headers.get_all(name) {
            message.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    message.extend_from_slice(b"\r\n");
    let mut response = Response::new(Body::full(message));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
