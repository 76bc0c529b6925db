//! Heads between Connect and gRPC: what belongs to either protocol is exchanged, and metadata stays.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::asked::{STREAM_ACCEPT, STREAM_ENCODING};
use crate::error::{Error, Kind};
use crate::policy::RequestHead;
use crate::protocol::{connect, grpc};

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// The head of the call that the service gets.
pub(super) fn ask(head: &mut RequestHead, takes_gzip: bool) -> Result<(), Error> {
    let timeout = connect::timeout(&head.headers)?;
    head.method = Method::POST;
    let headers = &mut head.headers;
    for name in [
        ACCEPT,
        ACCEPT_ENCODING,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        STREAM_ENCODING,
        STREAM_ACCEPT,
        ENCODING,
        connect::VERSION,
        connect::TIMEOUT,
        grpc::TIMEOUT,
    ] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    headers.insert(ACCEPTED, HeaderValue::from_static(if takes_gzip { "gzip" } else { "identity" }));
    headers.extend(timeout.map(|timeout| (grpc::TIMEOUT, timeout)));
    grpc::welcome_trailers(headers);
    Ok(())
}

/// Takes gRPC's own out of an answer's head; how its messages are compressed. Only gzip is asked for.
///
/// Errors: `BadReply` for anything else.
pub(super) fn answer(headers: &mut HeaderMap) -> Result<bool, Error> {
    let encoding = headers.remove(ENCODING);
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRAILER, ACCEPTED] {
        headers.remove(name);
    }
    for name in [grpc::STATUS, grpc::MESSAGE, grpc::DETAILS] {
        headers.remove(name);
    }
    match encoding.as_ref().map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Error::new(Kind::BadReply, "the service compresses in a way that it was not asked for")),
    }
}

/// Trailing metadata of a unary call, which has no place behind the content.
pub(super) fn put_trailers(headers: &mut HeaderMap, trailers: &HeaderMap) {
    for (name, value) in trailers {
        let passes = !connect::is_outcome(name) && ![TE, TRANSFER_ENCODING, CONTENT_LENGTH].contains(name);
        if let (true, Ok(name)) = (passes, HeaderName::try_from(format!("trailer-{name}"))) {
            headers.append(name, value.clone());
        }
    }
}
