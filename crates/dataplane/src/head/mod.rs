//! What a request head must be. hyper parses; this is the stricter judge that sees every byte before it, because a
//! head which two parsers may read differently is how requests are smuggled.
//!
//! Pure: bytes in, verdict out. `scanner` follows messages one after another, `chunked` their chunked bodies.

mod chunked;
pub mod scanner;

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

/// RFC 9110 §5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            table[byte as usize] = true;
        }
        byte += 1;
    }
    table
};

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[*byte as usize])
}

/// Judges a whole head, from the request line to the empty line; every line in it ends with CRLF.
pub fn judge(head: &[u8], bounds: &Bounds) -> Result<Framing, Error> {
    let mut lines = Lines { rest: head };
    let http_11 = request_line(lines.next().unwrap_or_default(), bounds)?;
    let mut hosts = 0usize;
    let mut length: Option<u64> = None;
    let mut chunked = false;
    let mut count = 0usize;
    for line in lines {
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > bounds.header_count {
            return Err(Error::new(Kind::HeadTooLarge, format!("More than {} headers", bounds.header_count)));
        }
        let (name, value) = field(line)?;
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                hosts += 1;
                if !is_host(value) {
                    return Err(refuse("The Host header is not a valid host"));
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if length.is_some() {
                    return Err(refuse("Content-Length is given more than once"));
                }
                length = Some(content_length(value)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(refuse("The only transfer coding that a request may have is chunked, once"));
                }
                chunked = true;
            }
            _ => {}
        }
    }
    match (hosts, http_11) {
        (1, _) | (0, false) => {}
        (0, true) => return Err(refuse("The Host header is missing")),
        _ => return Err(refuse("Host is given more than once")),
    }
    match (chunked, length) {
        (true, Some(_)) => Err(refuse("Content-Length and Transfer-Encoding exclude each other")),
        (true, None) if !http_11 => Err(refuse("HTTP/1.0 has no Transfer-Encoding")),
        (true, None) => Ok(Framing::Chunked),
        (false, None | Some(0)) => Ok(Framing::None),
        (false, Some(length)) => Ok(Framing::Length(length)),
    }
}

/// Lines without their CRLF.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.rest)?;
        let line = &self.rest[..end.saturating_sub(1)];
        self.rest = &self.rest[end + 1..];
        Some(line)
    }
}

/// True for HTTP/1.1, false for HTTP/1.0.
fn request_line(line: &[u8], bounds: &Bounds) -> Result<bool, Error> {
    let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else {
        return Err(refuse("The request line is not `method target version`"));
    };
    let (method, version) = (&line[..first], &line[last + 1..]);
    let target = if first < last { &line[first + 1..last] } else { &[] };
    if !is_token(method) {
        return Err(refuse("The method is not a token"));
    }
    if target.len() > bounds.uri_bytes {
        return Err(Error::new(Kind::UriTooLong, format!("The target is longer than {} bytes", bounds.uri_bytes)));
    }
    // Spaces, control characters, and a fragment's `#` never stand in a target (RFC 9112 §3.2).
    if target.is_empty() || target.iter().any(|byte| !(0x21..=0x7E).contains(byte) || *byte == b'#') {
        return Err(refuse("The target is empty or holds a character that it may not hold"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Error::new(Kind::VersionNotSupported, "This listener speaks HTTP/1.1 and HTTP/1.0"))
        }
        _ => Err(refuse("The version is not HTTP/1.1 or HTTP/1.0")),
    }
}

/// Name and value, the value without the white space around it.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(refuse("A header is folded over several lines"));
    }
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(refuse("A header has no colon"));
    };
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if !is_token(name) {
        return Err(refuse("A header's name is not a token"));
    }
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7F) {
        return Err(refuse("A header's value holds a control character"));
    }
    Ok((name, value))
}

fn content_length(value: &[u8]) -> Result<u64, Error> {
    let wrong = || refuse("Content-Length is not a number");
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    Ok(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// `uri-host [":" port]` (RFC 9110 §7.2), not empty, without user information.
fn is_host(value: &[u8]) -> bool {
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

/// A field line of a trailer section: the same grammar, and nothing that frames or routes (RFC 9110 §6.5.1).
fn trailer(line: &[u8]) -> Result<(), Error> {
    let (name, _) = field(line)?;
    let forbidden: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"host"];
    match forbidden.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        true => Err(refuse("A trailer holds a header that belongs into the head")),
        false => Ok(()),
    }
}
