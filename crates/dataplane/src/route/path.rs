//! A path is brought into one form, once: what is routed is what is forwarded (RFC 3986 §6.2.2).
//!
//! - Escapes of unreserved characters are decoded, the hex digits of the others are upper-cased.
//! - Characters that a path may not hold (RFC 3986 §3.3), such as `"` or a byte above 0x7F, are escaped.
//! - Dot segments are removed (§5.2.4), also those that were escaped; `..` at the root goes nowhere.
//! - `%2F` stays escaped and never splits a segment. Empty segments stay: `//` is not `/`.
//! - A backslash, NUL or other control character, plain or escaped, is an error: servers disagree about them.

use std::borrow::Cow;

use crate::error::{Error, Kind};

/// The form of `path` that is routed and forwarded. Idempotent; a clean path is borrowed, not copied.
/// An empty path is `/`. Any other path that does not begin with `/` is an error.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Error> {
    if path.is_empty() {
        return Ok(Cow::Borrowed("/"));
    }
    let bytes = path.as_bytes();
    if bytes[0] != b'/' {
        return Err(refused("it does not begin with '/'"));
    }
    if is_clean(bytes) {
        return Ok(Cow::Borrowed(path));
    }
    Ok(Cow::Owned(remove_dot_segments(&normalise_escapes(bytes)?)))
}

fn refused(reason: &str) -> Error {
    Error::new(Kind::BadRequest, format!("The path is not acceptable: {reason}"))
}

/// RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What a path holds as it is: `pchar` without escapes (RFC 3986 §3.3), and `/`.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = is_unreserved(value)
            || matches!(value, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
            || matches!(value, b':' | b'@' | b'/');
        byte += 1;
    }
    table
};

fn is_clean(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'.' && at > 0 && bytes[at - 1] == b'/' {
            let after = if bytes.get(at + 1) == Some(&b'.') { at + 2 } else { at + 1 };
            if matches!(bytes.get(after), None | Some(b'/')) {
                return false;
            }
        }
        if byte == b'%' {
            let (Some(&high), Some(&low)) = (bytes.get(at + 1), bytes.get(at + 2)) else {
                return false;
            };
            let upper = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
            match (upper(high) && upper(low)).then(|| unescape(high, low)).flatten() {
                Some(value) if !is_unreserved(value) && !is_forbidden(value) => at += 2,
                _ => return false,
            }
        } else if !PLAIN[byte as usize] {
            return false;
        }
        at += 1;
    }
    true
}

fn is_forbidden(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F || byte == b'\\'
}

fn unescape(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

fn normalise_escapes(bytes: &[u8]) -> Result<String, Error> {
    let mut normal = String::with_capacity(bytes.len() + 8);
    let mut at = 0;
    while let Some(&plain) = bytes.get(at) {
        let (byte, escaped) = if plain == b'%' {
            let pair = (bytes.get(at + 1), bytes.get(at + 2));
            let (Some(&high), Some(&low)) = pair else {
                return Err(refused("an escape is incomplete"));
            };
            at += 2;
            (unescape(high, low).ok_or_else(|| refused("an escape is not two hexadecimal digits"))?, true)
        } else {
            (plain, false)
        };
        at += 1;
        if is_forbidden(byte) {
            return Err(refused("it holds a backslash or a control character"));
        }
        if is_unreserved(byte) || (!escaped && PLAIN[byte as usize]) {
            normal.push(byte as char);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            normal.push('%');
            normal.push(HEX[(byte >> 4) as usize] as char);
            normal.push(HEX[(byte & 15) as usize] as char);
        }
    }
    Ok(normal)
}

/// RFC 3986 §5.2.4 for a path that begins with `/`.
fn remove_dot_segments(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            _ => {
                normal.push('/');
                normal.push_str(segment);
                continue;
            }
        }
        // A dot segment at the end leaves the slash before it.
        if last {
            normal.push('/');
        }
    }
    normal
}

/// The text of an escaped segment; bytes that are not UTF-8 become U+FFFD.
pub fn decode(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_data_file_is_normalised_as_it_says() {
        for line in include_str!("../../tests/cases/paths.txt").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (given, expected) = line.split_once(" -> ").expect("a case is `given -> expected`");
            let given: String = given.replace("<TAB>", "\t").replace("<DEL>", "\x7f").replace("<NOTHING>", "");
            match normalise(&given) {
                Ok(normal) => assert_eq!(normal, expected, "of {given:?}"),
                Err(error) => assert_eq!(expected, "400", "of {given:?}: {error}"),
            }
        }
    }

    #[test]
    fn normalising_twice_is_normalising_once_and_the_result_is_clean() {
        let alphabet = [
            "/", ".", "..", "%2e", "%2E", "%2f", "%2F", "%25", "%", "2", "e", "a", "~", "%7e", "é", "\"", "%41", "[",
            ";", ":",
        ];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200_000 {
            let mut path = String::from("/");
            for _ in 0..random.usize(0..10) {
                path.push_str(alphabet[random.usize(0..alphabet.len())]);
            }
            let Ok(once) = normalise(&path) else { continue };
            let twice = normalise(&once).expect("a normal path is accepted");
            assert_eq!(once, twice, "of {path:?}");
            assert!(matches!(twice, Cow::Borrowed(_)), "{once:?} is copied again");
            assert!(!once.split('/').any(|segment| segment == "." || segment == ".."), "of {path:?}");
        }
    }

    #[test]
    fn a_clean_path_is_borrowed() {
        for path in
            ["/", "/v1/items/42", "/a//b/", "/caf%C3%A9", "/a%2Fb", "/...", "/.well-known/x", "/a.b/..c", "/x;y=1,2:@"]
        {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }
}
