//! The head of an answer: found in the connection's bytes, parsed strictly, and what it says of its body and connection
//! (RFC 9112 §6.3, §9.3).

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{response, HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use crate::head::{self, Lines};
use crate::protocol::decoder::{Decoder, Trailers};
use crate::protocol::spare;

/// Bytes of a head at most.
const HEAD_BYTES: usize = 64 * 1024;
/// Fields of a head at most.
const FIELDS: usize = 256;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) enum Malformed {
    TooLarge,
    NotHttp(&'static str),
}

#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: response::Parts,
    /// The connection may serve another exchange.
    pub(super) persistent: bool,
    /// The only field that frames is one `Content-Length`, or none: this one.
    pub(super) plain: Option<Option<u64>>,
}

/// Takes a whole head from the front; None while it is not whole. `searched`: how far an earlier call has looked.
pub(super) fn take(incoming: &mut BytesMut, searched: &mut usize) -> Result<Option<Head>, Malformed> {
    const START: &[u8] = b"HTTP/1.";
    let common = incoming.len().min(START.len());
    if incoming[..common] != START[..common] {
        return Err(Malformed::NotHttp("it does not begin with a status line"));
    }
    let Some(end) = end_of_head(incoming, searched) else {
        return match incoming.len() > HEAD_BYTES {
            true => Err(Malformed::TooLarge),
            false => Ok(None),
        };
    };
    *searched = 0;
    if end > HEAD_BYTES {
        return Err(Malformed::TooLarge);
    }
    parse(incoming.split_to(end).freeze()).map(Some)
}

/// Where the head ends. Lines may end with LF alone (RFC 9112 §2.2): what is passed on is written anew.
fn end_of_head(bytes: &[u8], searched: &mut usize) -> Option<usize> {
    while let Some(found) = memchr::memchr(b'\n', &bytes[*searched..]) {
        let end = *searched + found + 1;
        *searched = end;
        if matches!(&bytes[end..], [b'\n', ..]) {
            return Some(end + 1);
        }
        if matches!(&bytes[end..], [b'\r', b'\n', ..]) {
            return Some(end + 2);
        }
        if bytes[end..].len() < 2 {
            // Looked at again with what comes next.
            *searched = end - 1;
            return None;
        }
    }
    *searched = bytes.len();
    None
}

/// Reads a whole head in one pass. Names and values are checked where they become a `HeaderName` and a `HeaderValue`.
fn parse(bytes: Bytes) -> Result<Head, Malformed> {
    let malformed = Malformed::NotHttp("a field of its head is malformed");
    let mut lines = Lines { bytes: &bytes, at: 0 };
    let (version, status) = status_line(&bytes[lines.next().unwrap_or_default()])?;
    let mut parts = Response::new(()).into_parts().0;
    parts.headers = spare::take();
    // What an answer in HTTP/1.0 would say about the next request is not to be relied on.
    let mut persistent = version == Version::HTTP_11;
    let mut plain = Some(None);
    let mut count = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        count += 1;
        if count > FIELDS {
            return Err(Malformed::TooLarge);
        }
        let (name, value) = head::field(&bytes[line.clone()]).map_err(|_| malformed)?;
        let name = HeaderName::from_bytes(name).map_err(|_| malformed)?;
        let value = bytes.slice(line.start + value.start..line.start + value.end);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| malformed)?;
        match name {
            CONNECTION => persistent &= !lists(&value, b"close"),
            CONTENT_LENGTH => plain = if plain == Some(None) { number(value.as_bytes()).map(Some) } else { None },
            TRANSFER_ENCODING => plain = None,
            _ => {}
        }
        parts.headers.append(name, value);
    }
    (parts.status, parts.version) = (status, version);
    Ok(Head { parts, persistent, plain })
}

/// `HTTP/1.x SP 3DIGIT [SP reason]` (RFC 9112 §4); the space before an empty reason is often left out.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode), Malformed> {
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err(Malformed::NotHttp("its version is not HTTP/1.1 or HTTP/1.0")),
    };
    let status = line.get(9..12).and_then(|digits| StatusCode::from_bytes(digits).ok());
    let status = status.ok_or(Malformed::NotHttp("its status is not a number from 100 to 999"))?;
    let text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    match &line[12..] {
        [] => Ok((version, status)),
        [b' ', reason @ ..] if reason.iter().all(text) => Ok((version, status)),
        _ => Err(Malformed::NotHttp("its status line is malformed")),
    }
}

fn lists(value: &HeaderValue, option: &[u8]) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|listed| listed.trim_ascii().eq_ignore_ascii_case(option))
}

/// How the content follows; None when there is none.
pub(super) fn body(answer: &Head, method: &Method) -> Result<Option<Decoder>, Malformed> {
    let head = &answer.parts;
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // What follows a 101 is another protocol's.
    if *method == Method::HEAD || bodiless || head.status.is_informational() {
        return Ok(None);
    }
    if let Some(length) = answer.plain {
        return Ok(match length {
            Some(0) => None,
            Some(length) => Some(Decoder::length(length)),
            None => Some(Decoder::UntilClose),
        });
    }
    if let Some(coding) = head.headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        if head.version < Version::HTTP_11 {
            // RFC 9112 §6.1: faulty, whatever it says.
            return Err(Malformed::NotHttp("it has a transfer coding in HTTP/1.0"));
        }
        let last = coding.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        return Ok(Some(match last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            true => Decoder::chunked(HEAD_BYTES, Trailers::Any),
            false => Decoder::UntilClose,
        }));
    }
    match content_length(&head.headers)? {
        Some(0) => Ok(None),
        Some(length) => Ok(Some(Decoder::length(length))),
        None => Ok(Some(Decoder::UntilClose)),
    }
}

/// RFC 9112 §6.3: several lengths must all say the same.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for element in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let number = number(element).ok_or(Malformed::NotHttp("its Content-Length is not a number"))?;
            if length.is_some_and(|length| length != number) {
                return Err(Malformed::NotHttp("its Content-Lengths disagree"));
            }
            length = Some(number);
        }
    }
    Ok(length)
}

fn number(digits: &[u8]) -> Option<u64> {
    let valid = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    valid.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
