//! Follows the messages of one connection: head, body, head … A head is held back until it is whole and judged; bodies
//! pass at once.

use super::chunked::Chunked;
use super::{judge, refuse, Bounds, Framing};
use crate::error::{Error, Kind};

/// Where in a message the connection is; each has its own time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the first byte of a head.
    Idle,
    Head,
    Body,
}

#[derive(Debug)]
pub struct Scanner {
    bounds: Bounds,
    state: State,
    /// A head that is not whole yet.
    held: Vec<u8>,
    /// How much of `held` has been searched for its end, and where the current line begins.
    searched: usize,
    line: usize,
    /// Heads that have passed.
    heads: u64,
    /// Empty lines before the head at hand.
    blank: usize,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
}

/// RFC 9112 §2.2: a server ignores at least one empty line before the request line.
const BLANK_LINES: usize = 4;

impl Scanner {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: State::Head, held: Vec::new(), searched: 0, line: 0, heads: 0, blank: 0 }
    }

    pub fn phase(&self) -> Phase {
        match self.state {
            State::Head if self.held.is_empty() => Phase::Idle,
            State::Head => Phase::Head,
            State::Length(_) | State::Chunked(_) => Phase::Body,
        }
    }

    /// How many heads have passed: the number of the request that is at hand, counted from 1.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Hands to `pass` what may go on to the parser. After an error nothing more may be fed: in the phase `Body` the body
    /// at hand is broken, otherwise the head that would have been number `heads() + 1`.
    pub fn feed(&mut self, bytes: &[u8], mut pass: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.state {
                State::Length(left) => {
                    let take = (*left).min(rest.len() as u64);
                    *left -= take;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    let (body, after) = rest.split_at(take as usize);
                    pass(body);
                    rest = after;
                }
                State::Chunked(chunked) => {
                    let (taken, ended) = chunked.feed(rest)?;
                    if ended {
                        self.state = State::Head;
                    }
                    let (body, after) = rest.split_at(taken);
                    pass(body);
                    rest = after;
                }
                State::Head => rest = self.head(rest, &mut pass)?,
            }
        }
        Ok(())
    }

    /// What is left after the end of this head; nothing while it has not ended.
    fn head<'b>(&mut self, bytes: &'b [u8], pass: &mut impl FnMut(&[u8])) -> Result<&'b [u8], Error> {
        // A head that comes whole is judged where it lies.
        if self.held.is_empty() {
            if let Some(end) = self.end_of_head(bytes)? {
                let (head, rest) = bytes.split_at(end);
                self.admit(head, pass)?;
                return Ok(rest);
            }
            self.held.extend_from_slice(bytes);
            return Ok(&[]);
        }
        let before = self.held.len();
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let end = self.end_of_head(&held);
        self.held = held;
        let Some(end) = end? else { return Ok(&[]) };
        let mut head = std::mem::take(&mut self.held);
        head.truncate(end);
        self.admit(&head, pass)?;
        Ok(&bytes[end - before..])
    }

    /// Where the head ends, if it does. Sizes and line ends are checked on the way, so that nothing too large is held.
    fn end_of_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            if end == 0 || bytes[end - 1] != b'\r' {
                return Err(refuse("A line of the head does not end with CRLF"));
            }
            let empty = end - self.line == 1;
            (self.searched, self.line) = (end + 1, end + 1);
            if end >= self.bounds.head_bytes {
                return Err(self.too_large());
            }
            if empty {
                (self.searched, self.line) = (0, 0);
                return Ok(Some(end + 1));
            }
        }
        self.searched = bytes.len();
        // The request line has not ended and is already longer than method, target and version may be.
        if self.line == 0 && bytes.len() > self.bounds.uri_bytes + 64 {
            return Err(Error::new(
                Kind::UriTooLong,
                format!("The target is longer than {} bytes", self.bounds.uri_bytes),
            ));
        }
        match bytes.len() > self.bounds.head_bytes {
            true => Err(self.too_large()),
            false => Ok(None),
        }
    }

    fn too_large(&self) -> Error {
        Error::new(Kind::HeadTooLarge, format!("The head is larger than {} bytes", self.bounds.head_bytes))
    }

    fn admit(&mut self, head: &[u8], pass: &mut impl FnMut(&[u8])) -> Result<(), Error> {
        if head == b"\r\n" {
            self.blank += 1;
            return match self.blank > BLANK_LINES {
                true => Err(refuse("Too many empty lines before the request")),
                false => Ok(()),
            };
        }
        self.state = match judge(head, &self.bounds)? {
            Framing::None => State::Head,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunked::new(self.bounds.head_bytes)),
        };
        self.heads += 1;
        self.blank = 0;
        pass(head);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { head_bytes: 2048, uri_bytes: 256, header_count: 16 };

    /// Feeds the bytes in pieces of `size`: what passed, and the status that refused the rest.
    fn run(bytes: &[u8], size: usize) -> (Vec<u8>, Option<(u16, Phase)>, u64) {
        let mut scanner = Scanner::new(BOUNDS);
        let mut passed = Vec::new();
        for piece in bytes.chunks(size) {
            if let Err(error) = scanner.feed(piece, |part| passed.extend_from_slice(part)) {
                return (passed, Some((error.kind.status(), scanner.phase())), scanner.heads());
            }
        }
        (passed, None, scanner.heads())
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
                let (passed, refused, heads) = run(&bytes, size);
                match verdict.strip_prefix("ok") {
                    Some(expected) => {
                        assert_eq!(refused, None, "{name} in pieces of {size}");
                        assert_eq!(heads.to_string(), if expected.is_empty() { "1" } else { expected }, "{name}");
                        assert!(bytes.ends_with(&passed), "{name}: what passes is what came");
                    }
                    None => {
                        let status = refused.map(|(status, phase)| match phase {
                            Phase::Body => format!("body{status}"),
                            _ => status.to_string(),
                        });
                        assert_eq!(status.as_deref(), Some(verdict), "{name} in pieces of {size}");
                    }
                }
            }
            cases += 1;
        }
        assert!(cases > 60, "only {cases} cases were read");
    }
}
