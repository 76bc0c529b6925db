//! Parts of a whole response (RFC 9110 §14).

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::content::Piece;

/// More, or more bytes in all than the whole has, are answered with the whole (§14.2).
const MOST: usize = 16;

/// What a client is given of a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Parts {
    Whole,
    /// None of them lies within.
    Unsatisfiable,
    Some(Vec<Range<u64>>),
}

pub fn parse(headers: &HeaderMap, length: u64) -> Parts {
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
    let bytes: u64 = parts.iter().map(|range| range.end - range.start).sum();
    match parts.len() {
        _ if asked == 0 || asked > MOST || bytes > length => Parts::Whole,
        0 => Parts::Unsatisfiable,
        _ => Parts::Some(parts),
    }
}

/// None: not one that can be read; an inner None: not within the whole.
fn part(spec: &[u8], length: u64) -> Option<Option<Range<u64>>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let number = |text: &[u8]| -> Option<u64> {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        // More digits than fit lie beyond every end.
        digits.then(|| std::str::from_utf8(text).ok()?.parse().ok().or(Some(u64::MAX))).flatten()
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

/// What is sent of content that is `length` long, and with which status; the head accordingly.
pub fn cut(length: u64, parts: &Parts, headers: &mut HeaderMap) -> (StatusCode, Vec<Piece>) {
    match parts {
        Parts::Whole => (StatusCode::OK, vec![Piece::Part(0..length)]),
        Parts::Unsatisfiable => {
            headers.remove(CONTENT_TYPE);
            set(headers, format!("bytes */{length}"));
            headers.remove(CONTENT_LENGTH);
            (StatusCode::RANGE_NOT_SATISFIABLE, Vec::new())
        }
        Parts::Some(parts) => {
            headers.remove(CONTENT_LENGTH);
            let pieces = match parts.as_slice() {
                [one] => {
                    set(headers, format!("bytes {}-{}/{length}", one.start, one.end - 1));
                    vec![Piece::Part(one.clone())]
                }
                several => multipart(length, several, headers),
            };
            (StatusCode::PARTIAL_CONTENT, pieces)
        }
    }
}

fn set(headers: &mut HeaderMap, value: String) {
    headers.extend(HeaderValue::try_from(value).ok().map(|value| (CONTENT_RANGE, value)));
}

/// `multipart/byteranges` (§14.6).
fn multipart(length: u64, parts: &[Range<u64>], headers: &mut HeaderMap) -> Vec<Piece> {
    let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let kind = headers.remove(CONTENT_TYPE);
    let mut pieces = Vec::new();
    for part in parts {
        let mut text = format!("\r\n--{boundary}\r\n").into_bytes();
        if let Some(kind) = &kind {
            text.extend_from_slice(b"content-type: ");
            text.extend_from_slice(kind.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(
            format!("content-range: bytes {}-{}/{length}\r\n\r\n", part.start, part.end - 1).as_bytes(),
        );
        pieces.extend([Piece::Text(text.into()), Piece::Part(part.clone())]);
    }
    pieces.push(Piece::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    let kind = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"));
    headers.extend(kind.ok().map(|kind| (CONTENT_TYPE, kind)));
    pieces
}
