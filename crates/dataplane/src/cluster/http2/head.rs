//! Heads as HTTP/2 has them: what HTTP/1.1 says of the connection has no place there (RFC 9113 §8.2.2, §8.3.1).

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{request, response, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;

use crate::cluster::hop_by_hop;
use crate::protocol::body::Body;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// A head whose fields for one connection have been removed, to be sent with this body; `authority` stands in for a
/// `Host` that is missing.
pub(super) fn request(mut head: request::Parts, body: &Body, scheme: Scheme, authority: &str) -> Request<()> {
    for name in [CONNECTION, TRANSFER_ENCODING, KEEP_ALIVE, PROXY_CONNECTION, UPGRADE] {
        head.headers.remove(name);
    }
    set_length(&mut head, body);
    let host = head.headers.remove(HOST).filter(|host| !host.is_empty());
    let named = host.as_ref().map_or(authority.as_bytes(), HeaderValue::as_bytes);
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut uri = http::uri::Parts::default();
    match Authority::try_from(named) {
        Ok(authority) => {
            (uri.scheme, uri.authority, uri.path_and_query) = (Some(scheme), Some(authority), Some(path));
            head.version = Version::HTTP_2;
        }
        // A name that is none is passed on as it came; a head without `:authority` is allowed for this.
        Err(_) => {
            uri.path_and_query = Some(path);
            head.headers.extend(host.map(|host| (HOST, host)));
            head.version = Version::HTTP_11;
        }
    }
    head.uri = Uri::from_parts(uri).unwrap_or_default();
    head.extensions.clear();
    Request::from_parts(head, ())
}

/// As over HTTP/1.1: a length is that of the body, or there is none.
fn set_length(head: &mut request::Parts, body: &Body) {
    let Some(length) = body.size_hint().exact() else {
        head.headers.remove(CONTENT_LENGTH);
        return;
    };
    if length > 0 || matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        head.headers.remove(CONTENT_LENGTH);
    }
}

/// Takes from an answer what was for one connection, and what would say twice how long it is.
pub(super) fn settle(head: &mut response::Parts) {
    hop_by_hop::strip_response(&mut head.headers);
    head.version = Version::HTTP_11;
    if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    } else if let Some(first) = head.headers.get(CONTENT_LENGTH).cloned() {
        head.headers.insert(CONTENT_LENGTH, first);
    }
}
