//! What a request head must be: stricter than the standard demands, because a head which two parsers may read
//! differently is how requests are smuggled.
//!
//! Pure: bytes in, verdict out. `reader` finds heads in a connection's bytes.

pub mod reader;

use std::ops::Range;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{request, HeaderName, HeaderValue, Method, Uri, Version};

use crate::error::{Error, Kind};

/// The sizes a head may have; the listener's.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Request line and headers together; more is 431.
    pub head_bytes: usize,
    /// More is 414.
    pub uri_bytes: usize,
    /// More is 431.
    pub header_count: usize,
}

/// How the body that follows a head is framed (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
}

fn refuse(detail: &str) -> Error {
    Error::new(Kind::BadRequest, detail)
}

/// What a head says of its message and its connection, beside what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub framing: Framing,
    /// The connection may serve another request after this one (RFC 9112 §9.3).
    pub persistent: bool,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Trailers of the response are welcome (RFC 9110 §10.1.4).
    pub accepts_trailers: bool,
}

/// Reads a whole head, from the request line to the empty line; every line in it ends with CRLF. `into` is filled as far
/// as the head is good, so that a refused request can still be logged by its line.
pub fn parse(head: &Bytes, bounds: &Bounds, into: &mut request::Parts) -> Result<Facts, Error> {
    let mut lines = Lines { bytes: head, at: 0 };
    request_line(head, lines.next().unwrap_or_default(), bounds, into)?;
    let http_11 = into.version == Version::HTTP_11;
    let mut seen = Seen::default();
    for line in lines {
        if line.is_empty() {
            break;
        }
        seen.count += 1;
        if seen.count > bounds.header_count {
            return Err(Error::new(Kind::HeadTooLarge, format!("More than {} headers", bounds.header_count)));
        }
        let (name, value) = field(&head[line.clone()])?;
        let value = head.slice(line.start + value.start..line.start + value.end);
        seen.note(name, &value)?;
        let name = HeaderName::from_bytes(name).map_err(|_| refuse("A header's name is not a token"))?;
        let value =
            HeaderValue::from_maybe_shared(value).map_err(|_| refuse("A header's value holds a control character"))?;
        into.headers.append(name, value);
    }
    seen.settle(http_11)
}

/// The fields that frame a message and steer its connection.
#[derive(Default)]
struct Seen {
    count: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    accepts_trailers: bool,
}

impl Seen {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => {
                self.accepts_trailers |= tokens(value).any(|coding| {
                    let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
                    name.trim_ascii().eq_ignore_ascii_case(b"trailers")
                });
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if !is_host(value) {
                    return Err(refuse("The Host header is not a valid host"));
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in tokens(value) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() {
                    return Err(refuse("Content-Length is given more than once"));
                }
                self.length = Some(content_length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(refuse("The only transfer coding that a request may have is chunked, once"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn settle(self, http_11: bool) -> Result<Facts, Error> {
        match (self.hosts, http_11) {
            (1, _) | (0, false) => {}
            (0, true) => return Err(refuse("The Host header is missing")),
            _ => return Err(refuse("Host is given more than once")),
        }
        let framing = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(refuse("Content-Length and Transfer-Encoding exclude each other")),
            (true, None) if !http_11 => return Err(refuse("HTTP/1.0 has no Transfer-Encoding")),
            (true, None) => Framing::Chunked,
            (false, None | Some(0)) => Framing::None,
            (false, Some(length)) => Framing::Length(length),
        };
        Ok(Facts {
            framing,
            persistent: !self.close && (http_11 || self.keep_alive),
            expects_continue: self.expects_continue && http_11 && framing != Framing::None,
            accepts_trailers: self.accepts_trailers && http_11,
        })
    }
}

/// The elements of a list field (RFC 9110 §5.6.1).
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Where the lines are, without their line ends; those of a request have been seen to be CRLF.
pub(crate) struct Lines<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + memchr::memchr(b'\n', self.bytes.get(start..)?)?;
        self.at = end + 1;
        Some(start..end - usize::from(self.bytes[start..end].ends_with(b"\r")))
    }
}

fn request_line(head: &Bytes, at: Range<usize>, bounds: &Bounds, into: &mut request::Parts) -> Result<(), Error> {
    let line = &head[at.clone()];
    let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else {
        return Err(refuse("The request line is not `method target version`"));
    };
    let (method, version) = (&line[..first], &line[last + 1..]);
    let target = if first < last { &line[first + 1..last] } else { &[] };
    into.method = Method::from_bytes(method).map_err(|_| refuse("The method is not a token"))?;
    if target.len() > bounds.uri_bytes {
        return Err(uri_too_long(bounds));
    }
    // Spaces, control characters, and a fragment's `#` never stand in a target (RFC 9112 §3.2).
    if target.is_empty() || target.iter().any(|byte| !(0x21..=0x7E).contains(byte) || *byte == b'#') {
        return Err(refuse("The target is empty or holds a character that it may not hold"));
    }
    into.version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Error::new(Kind::VersionNotSupported, "This listener speaks HTTP/1.1 and HTTP/1.0"))
        }
        _ => return Err(refuse("The version is not HTTP/1.1 or HTTP/1.0")),
    };
    let invalid = || refuse("The target is not a valid URI");
    let target = head.slice(at.start + first + 1..at.start + last);
    into.uri = match target.first() {
        Some(b'/') => PathAndQuery::from_maybe_shared(target).map_err(|_| invalid())?.into(),
        _ => Uri::from_maybe_shared(target).map_err(|_| invalid())?,
    };
    Ok(())
}

pub(crate) fn uri_too_long(bounds: &Bounds) -> Error {
    Error::new(Kind::UriTooLong, format!("The target is longer than {} bytes", bounds.uri_bytes))
}

/// The name, and where the value is in the line without the white space around it. Their characters are checked where
/// they become a `HeaderName` and a `HeaderValue`.
pub(crate) fn field(line: &[u8]) -> Result<(&[u8], Range<usize>), Error> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(refuse("A header is folded over several lines"));
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(refuse("A header has no colon"));
    };
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let after = &line[colon + 1..];
    let start = colon + 1 + after.iter().take_while(blank).count();
    let end = line.len() - line[start..].iter().rev().take_while(blank).count();
    Ok((&line[..colon], start..end))
}

fn content_length(value: &[u8]) -> Result<u64, Error> {
    let wrong = || refuse("Content-Length is not a number");
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// `uri-host [":" port]` (RFC 9110 §7.2), not empty, without user information.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.first() {
        None => return false,
        Some(b'[') => match memchr::memchr(b']', value) {
            None => return false,
            Some(end) => {
                let literal = &value[1..end];
                let valid = !literal.is_empty()
                    && literal.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
                if !valid {
                    return false;
                }
                (&value[..=end], &value[end + 1..])
            }
        },
        Some(_) => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            let name = &value[..end];
            // Escapes and sub-delims are allowed by the grammar, but no host that anybody serves has them.
            if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
                return false;
            }
            (name, &value[end..])
        }
    };
    let port_is_valid = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    !name.is_empty() && port_is_valid
}

/// A field line of a trailer section, which has the same grammar (RFC 9112 §7.1.2).
pub(crate) fn trailer(line: &[u8]) -> Result<(HeaderName, HeaderValue), Error> {
    let (name, value) = field(line)?;
    let name = HeaderName::from_bytes(name).map_err(|_| refuse("A trailer's name is not a token"))?;
    let value =
        HeaderValue::from_bytes(&line[value]).map_err(|_| refuse("A trailer's value holds a control character"))?;
    Ok((name, value))
}
