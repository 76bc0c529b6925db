//! A response as it is written: its head, and how the end of its body is told (RFC 9112 §6.3).

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use http::{response, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::protocol::date;
use crate::protocol::encoder::{field, Encoder};

/// What of the request decides on the response's form.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) persistent: bool,
    pub(super) accepts_trailers: bool,
}

/// `length`: of the body, if it is known before it is sent.
pub(super) fn encoder(asked: &Asked, status: StatusCode, length: Option<u64>) -> Encoder {
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational();
    match length {
        _ if bodiless || asked.method == Method::HEAD => Encoder::None,
        Some(length) => Encoder::Length(length),
        None if asked.version >= Version::HTTP_11 => Encoder::CHUNKED,
        None => Encoder::Close,
    }
}

/// Adds the whole head. `persistent`: the connection serves on after it.
pub(super) fn encode(out: &mut Vec<u8>, head: &response::Parts, encoder: Encoder, asked: &Asked, persistent: bool) {
    status_line(out, head.status);
    // An answer to HEAD and a 304 tell the length that another answer would have.
    let keeps_length = encoder == Encoder::None && head.status != StatusCode::NO_CONTENT;
    let mut dated = false;
    for (name, value) in &head.headers {
        if name == CONNECTION || name == TRANSFER_ENCODING || (name == CONTENT_LENGTH && !keeps_length) {
            continue;
        }
        dated |= name == DATE;
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    match encoder {
        Encoder::Length(length) => field(out, b"content-length", itoa::Buffer::new().format(length).as_bytes()),
        Encoder::Chunked { .. } => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Encoder::None | Encoder::Close => {}
    }
    if !dated {
        date::with_now(|now| field(out, b"date", now.as_bytes()));
    }
    match (persistent, asked.version >= Version::HTTP_11) {
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, false) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, true) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// A 101 (RFC 9110 §15.2.2): final as far as HTTP is concerned, and without content.
pub(super) fn encode_switch(out: &mut Vec<u8>, head: &response::Parts, protocol: &HeaderValue) {
    status_line(out, head.status);
    const HOP: [HeaderName; 4] = [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING];
    for (name, value) in head.headers.iter().filter(|(name, _)| !HOP.contains(name)) {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"connection: upgrade\r\n");
    field(out, b"upgrade", protocol.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An interim response (RFC 9110 §15.2).
pub(super) fn encode_interim(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    status_line(out, status);
    // It has no content, so nothing may say how that would be framed (RFC 9112 §6.3).
    let plain = headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING);
    for (name, value) in plain {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}
