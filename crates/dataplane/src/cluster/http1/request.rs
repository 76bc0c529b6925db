//! A request's head as it is written to an endpoint: origin-form, in HTTP/1.1 (RFC 9112 §3.2.1).

use http::request;

use crate::protocol::encoder::field;

/// Most heads, without growing.
const HEAD: usize = 1024;

/// Its fields say already how the body is framed.
pub(super) fn encode(out: &mut Vec<u8>, head: &request::Parts) {
    out.reserve(HEAD);
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if target.starts_with('?') {
        out.push(b'/');
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
