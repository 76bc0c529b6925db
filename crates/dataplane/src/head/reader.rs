//! Finds the end of a head in bytes that arrive in pieces, looking at each byte once. Sizes and line ends are checked on
//! the way, so that nothing too large is ever held.

use super::{refuse, uri_too_long, Bounds};
use crate::error::{Error, Kind};

/// RFC 9112 §2.2: a server ignores at least one empty line before the request line.
const BLANK_LINES: usize = 4;

/// A request line is a method, a target and a version: the target alone has a bound of its own.
const AROUND_TARGET: usize = 64;

/// Where the search for the head at hand has got to.
#[derive(Debug, Default)]
pub struct Reader {
    /// Where the next byte to look at is, and where its line begins.
    searched: usize,
    line: usize,
    /// Empty lines before the head at hand.
    blank: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Not yet.
    More,
    /// An empty line of so many bytes before the request line: to be thrown away.
    Blank(usize),
    /// The head has so many bytes.
    Head(usize),
}

impl Reader {
    /// `bytes`: what the last call had, and what has come since. After anything but `More` the next head begins anew.
    pub fn find(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<Found, Error> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(refuse("A line of the head does not end with CRLF"));
            }
            let empty = end - self.line == 1;
            let first = self.line == 0;
            (self.searched, self.line) = (end + 1, end + 1);
            // The same bound whether the line came whole or in pieces.
            if first && end > bounds.uri_bytes + AROUND_TARGET {
                return Err(uri_too_long(bounds));
            }
            if end >= bounds.head_bytes {
                return Err(too_large(bounds));
            }
            if empty {
                return self.ended(end + 1, first);
            }
        }
        self.searched = bytes.len();
        if self.line == 0 && bytes.len() > bounds.uri_bytes + AROUND_TARGET {
            return Err(uri_too_long(bounds));
        }
        match bytes.len() > bounds.head_bytes {
            true => Err(too_large(bounds)),
            false => Ok(Found::More),
        }
    }

    fn ended(&mut self, length: usize, blank: bool) -> Result<Found, Error> {
        (self.searched, self.line) = (0, 0);
        if !blank {
            self.blank = 0;
            return Ok(Found::Head(length));
        }
        self.blank += 1;
        match self.blank > BLANK_LINES {
            true => Err(refuse("Too many empty lines before the request")),
            false => Ok(Found::Blank(length)),
        }
    }
}

fn too_large(bounds: &Bounds) -> Error {
    Error::new(Kind::HeadTooLarge, format!("The head is larger than {} bytes", bounds.head_bytes))
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BytesMut};

    use super::*;
    use crate::head::{parse, Framing};
    use crate::protocol::decoder::{Decoded, Decoder, Trailers};

    const BOUNDS: Bounds = Bounds { head_bytes: 2048, uri_bytes: 256, header_count: 16 };

    /// A connection's bytes, head after head, in pieces of `size`: how many heads passed, and what refused the rest.
    fn run(bytes: &[u8], size: usize) -> (usize, Option<String>) {
        let (mut reader, mut body, mut heads) = (Reader::default(), None, 0);
        let mut buffer = BytesMut::new();
        for piece in bytes.chunks(size) {
            buffer.extend_from_slice(piece);
            if let Err(error) = turn(&mut reader, &mut body, &mut buffer, &mut heads) {
                let place = if body.is_some() { "body" } else { "" };
                return (heads, Some(format!("{place}{}", error.kind.status())));
            }
        }
        (heads, None)
    }

    fn turn(
        reader: &mut Reader,
        body: &mut Option<Decoder>,
        buffer: &mut BytesMut,
        heads: &mut usize,
    ) -> Result<(), Error> {
        loop {
            if let Some(decoder) = body {
                match decoder.decode(buffer)? {
                    Decoded::Data(_) => continue,
                    Decoded::More => return Ok(()),
                    Decoded::End | Decoded::Trailers(_) => *body = None,
                }
            }
            match reader.find(buffer, &BOUNDS)? {
                Found::More => return Ok(()),
                Found::Blank(length) => buffer.advance(length),
                Found::Head(length) => {
                    let head = buffer.split_to(length).freeze();
                    let facts = parse(&head, &BOUNDS, &mut http::Request::new(()).into_parts().0)?;
                    *heads += 1;
                    *body = match facts.framing {
                        Framing::None => None,
                        Framing::Length(length) => Some(Decoder::length(length)),
                        Framing::Chunked => Some(Decoder::chunked(BOUNDS.head_bytes, Trailers::Harmless)),
                    };
                }
            }
        }
    }

    /// `\r`, `\n`, `\t`, `\0`, `\xNN` and `{N*c}` (N times the character c) stand for what they say; line ends of the
    /// file do not count.
    fn unescape(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\\' => match chars.next() {
                    Some('r') => bytes.push(b'\r'),
                    Some('n') => bytes.push(b'\n'),
                    Some('t') => bytes.push(b'\t'),
                    Some('0') => bytes.push(0),
                    Some('x') => {
                        let hex: String = chars.by_ref().take(2).collect();
                        bytes.push(u8::from_str_radix(&hex, 16).expect("two hex digits"));
                    }
                    other => panic!("unknown escape {other:?}"),
                },
                '{' => {
                    let inside: String = chars.by_ref().take_while(|char| *char != '}').collect();
                    let (count, what) = inside.split_once('*').expect("{N*text}");
                    bytes.extend(unescape(what).repeat(count.parse().expect("a number")));
                }
                char => bytes.extend(char.to_string().bytes()),
            }
        }
        bytes
    }

    #[test]
    fn every_case_of_the_data_file_gets_its_verdict_however_the_bytes_arrive() {
        let mut cases = 0;
        let mut name = "";
        for line in include_str!("../../tests/cases/heads.txt").lines() {
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            if let Some(title) = line.strip_prefix("# ") {
                name = title;
                continue;
            }
            let (verdict, text) = line.split_once(' ').expect("`verdict bytes`");
            let bytes = unescape(text);
            for size in [1, 2, 3, 7, bytes.len().max(1)] {
                let (heads, refused) = run(&bytes, size);
                match verdict.strip_prefix("ok") {
                    Some(expected) => {
                        assert_eq!(refused, None, "{name} in pieces of {size}");
                        assert_eq!(heads.to_string(), if expected.is_empty() { "1" } else { expected }, "{name}");
                    }
                    None => assert_eq!(refused.as_deref(), Some(verdict), "{name} in pieces of {size}"),
                }
            }
            cases += 1;
        }
        assert!(cases > 60, "only {cases} cases were read");
    }
}
