//! Header fields that are for one connection only (RFC 9110 §7.6.1) and are never passed on.

use http::header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::identity;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const ALWAYS: [HeaderName; 8] =
    [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHORIZATION, PROXY_AUTHENTICATE, TE];

/// Always for one connection, whether `Connection` names them or not: the position in `ALWAYS`. `Trailer` is end-to-end.
fn always(name: &str) -> Option<usize> {
    Some(match name {
        "connection" => 0,
        "keep-alive" => 1,
        "proxy-connection" => 2,
        "transfer-encoding" => 3,
        "upgrade" => 4,
        "proxy-authorization" => 5,
        "proxy-authenticate" => 6,
        "te" => 7,
        _ => return None,
    })
}

/// `Connection` may name its sender's own fields, but a sender that names one of these wants to make the next hop see a
/// request without what routes it, frames it, or says who is calling. Fields that the gateway sets itself
/// (`X-Consumer-*`, the request id) need no place here: they are set after the removal.
fn is_protected(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "authorization"
            | "cache-control"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "cookie"
            | "date"
            | "expect"
            | "forwarded"
            | "host"
            | "idempotency-key"
            | "max-forwards"
            | "origin"
            | "range"
            | "set-cookie"
            | "traceparent"
            | "tracestate"
            | "trailer"
            | "vary"
            | "via"
            | "www-authenticate"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("if-")
        || name.starts_with("access-control-")
}

/// Whether a field of this name (lower-case) is for one connection only.
pub fn is_for_one_hop(name: &str) -> bool {
    always(name).is_some()
}

/// Leaves `TE: trailers` if trailers are welcome, and `Upgrade` out: upgrades are not forwarded.
pub fn strip_request(headers: &mut HeaderMap) {
    let trailers = strip_named(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

pub fn strip_response(headers: &mut HeaderMap) {
    let _trailers = strip_named(headers);
}

/// Removes fields that may not come after the body, since they route, frame or control the message or say who is
/// calling (RFC 9110 §6.5.1): a server that merges trailers into the head would believe them.
pub fn strip_trailers(trailers: &mut HeaderMap) {
    let forbidden = |name: &HeaderName| {
        let name = name.as_str();
        always(name).is_some()
            || is_protected(name)
            || identity::is_reserved(name)
            || identity::spells(name, "x-forwarded-")
    };
    let named: Vec<HeaderName> = trailers.keys().filter(|name| forbidden(name)).cloned().collect();
    for name in named {
        trailers.remove(name);
    }
}

/// One pass over the names decides; most messages have nothing to remove, or a `Connection` that names nothing. True when
/// trailers are welcome.
fn strip_named(headers: &mut HeaderMap) -> bool {
    let mut present = 0u8;
    for name in headers.keys() {
        if let Some(index) = always(name.as_str()) {
            present |= 1 << index;
        }
    }
    let trailers = present & 1 << 7 != 0 && accepts_trailers(headers);
    if present & 1 != 0 {
        strip_options(headers);
    }
    for (index, name) in ALWAYS.iter().enumerate() {
        if present & (1 << index) != 0 {
            headers.remove(name);
        }
    }
    trailers
}

/// Removes what `Connection` names.
fn strip_options(headers: &mut HeaderMap) {
    let plain = |value: &[u8]| value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close");
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter(|value| !plain(value.as_bytes()))
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(|name| !is_protected(name.as_str()))
        .collect();
    for name in named {
        headers.remove(name);
    }
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| {
        value.as_bytes().split(|byte| *byte == b',').any(|coding| {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(b"trailers")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_connection_names_is_removed_along_with_the_fields_that_are_always_for_one_hop() {
        let mut request = headers(&[
            ("connection", "close, Hop-One ,, \tkeep-alive"),
            ("connection", "hop-two"),
            ("hop-one", "1"),
            ("hop-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("host", "a"),
            ("accept", "*/*"),
        ]);
        strip_request(&mut request);
        assert_eq!(names(&request), ["accept", "host"]);
    }

    #[test]
    fn connection_cannot_remove_what_routes_frames_or_authenticates() {
        let fields = [
            ("connection", "host, authorization, content-length, cookie, X-Forwarded-For, forwarded, via"),
            ("host", "a"),
            ("authorization", "Bearer x"),
            ("content-length", "3"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("via", "1.1 a"),
        ];
        let mut request = headers(&fields);
        strip_request(&mut request);
        assert_eq!(request.len(), fields.len() - 1);
    }

    #[test]
    fn te_is_reduced_to_trailers() {
        let mut request = headers(&[("te", "gzip, Trailers;q=0.5"), ("connection", "te")]);
        strip_request(&mut request);
        assert_eq!((request["te"].as_bytes(), request["connection"].as_bytes()), (&b"trailers"[..], &b"te"[..]));
    }

    #[test]
    fn trailers_cannot_carry_framing_routing_or_credentials() {
        let mut trailers = headers(&[
            ("content-length", "0"),
            ("authorization", "x"),
            ("host", "b"),
            ("x_consumer_id", "root"),
            ("grpc-status", "0"),
            ("etag", "x"),
        ]);
        strip_trailers(&mut trailers);
        assert_eq!(names(&trailers), ["etag", "grpc-status"]);
    }
}
