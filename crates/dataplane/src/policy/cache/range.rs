//! Parts of a whole response (RFC 9110 §14).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// More, or more bytes in all than the whole has, are answered with the whole (§14.2).
const MOST: usize = 16;

/// What a client is given of a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Parts {
    Whole,
    /// None of them lies within.
    Unsatisfiable,
    Some(Vec<Range<usize>>),
}

pub fn parse(headers: &HeaderMap, length: usize) -> Parts {
    let mut lines = headers.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Parts::Whole };
    let Some(set) = line.as_bytes().split_at_checked(6).filter(|(unit, _)| unit.eq_ignore_ascii_case(b"bytes=")) else {
        return Parts::Whole;
    };
    let mut parts = Vec::new();
    let mut asked = 0;
    for spec in set.1.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        asked += 1;
        match part(spec, length) {
            None => return Parts::Whole,
            Some(None) => {}
            Some(Some(range)) => parts.push(range),
        }
    }
    let bytes: usize = parts.iter().map(Range::len).sum();
    match parts.len() {
        _ if asked == 0 || asked > MOST || bytes > length => Parts::Whole,
        0 => Parts::Unsatisfiable,
        _ => Parts::Some(parts),
    }
}

/// None: not one that can be read; an inner None: not within the whole.
fn part(spec: &[u8], length: usize) -> Option<Option<Range<usize>>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let number = |text: &[u8]| -> Option<usize> {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        // More digits than fit lie beyond every end.
        digits.then(|| std::str::from_utf8(text).ok()?.parse().ok().or(Some(usize::MAX))).flatten()
    };
    match (&spec[..dash], &spec[dash + 1..]) {
        (b"", last) => {
            let wanted = number(last)?;
            Some(Some(length.saturating_sub(wanted)..length).filter(|range| !range.is_empty()))
        }
        (first, b"") => {
            let first = number(first)?;
            Some((first < length).then_some(first..length))
        }
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            Some((first < length).then(|| first..last.saturating_add(1).min(length)))
        }
    }
}

/// The answer's content and status; its head accordingly.
pub fn cut(whole: &Bytes, parts: &Parts, headers: &mut HeaderMap) -> (StatusCode, Bytes) {
    match parts {
        Parts::Whole => (StatusCode::OK, whole.clone()),
        Parts::Unsatisfiable => {
            headers.remove(CONTENT_TYPE);
            set(headers, format!("bytes */{}", whole.len()));
            headers.remove(CONTENT_LENGTH);
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
        }
        Parts::Some(parts) => {
            headers.remove(CONTENT_LENGTH);
            let content = match parts.as_slice() {
                [one] => {
                    set(headers, format!("bytes {}-{}/{}", one.start, one.end - 1, whole.len()));
                    whole.slice(one.clone())
                }
                several => multipart(whole, several, headers),
            };
            (StatusCode::PARTIAL_CONTENT, content)
        }
    }
}

fn set(headers: &mut HeaderMap, value: String) {
    headers.extend(HeaderValue::try_from(value).ok().map(|value| (CONTENT_RANGE, value)));
}

/// `multipart/byteranges` (§14.6).
fn multipart(whole: &Bytes, parts: &[Range<usize>], headers: &mut HeaderMap) -> Bytes {
    let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let kind = headers.remove(CONTENT_TYPE);
    let mut content = BytesMut::new();
    for part in parts {
        content.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
        if let Some(kind) = &kind {
            content.extend_from_slice(b"content-type: ");
            content.extend_from_slice(kind.as_bytes());
            content.extend_from_slice(b"\r\n");
        }
        let range = format!("content-range: bytes {}-{}/{}\r\n\r\n", part.start, part.end - 1, whole.len());
        content.extend_from_slice(range.as_bytes());
        content.extend_from_slice(&whole[part.clone()]);
    }
    content.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let kind = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"));
    headers.extend(kind.ok().map(|kind| (CONTENT_TYPE, kind)));
    content.freeze()
}
