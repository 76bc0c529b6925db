//! Follows the framing of a chunked body (RFC 9112 §7.1), byte for byte, and refuses what parsers disagree about.

use super::{refuse, trailer};
use crate::error::{Error, Kind};

/// A chunk's size line, extensions included.
const SIZE_LINE: usize = 256;
/// Extensions of all chunks together: nobody uses them, so many of them are an attack.
const EXTENSIONS: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// The size line or trailer line that has not ended yet.
    line: Vec<u8>,
    extensions: usize,
    trailers: usize,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
}

impl Chunked {
    /// `trailer_bytes` bounds the trailer section.
    pub(super) fn new(trailer_bytes: usize) -> Self {
        Self { state: State::Size, line: Vec::new(), extensions: 0, trailers: 0, trailer_bytes }
    }

    /// How many of these bytes belong to the body, and whether it has ended with them.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, bool), Error> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Data(left) => {
                    let take = left.min((bytes.len() - at) as u64);
                    at += take as usize;
                    self.state = if take == left { State::DataCr } else { State::Data(left - take) };
                }
                State::DataCr => {
                    expect(bytes[at], b'\r')?;
                    at += 1;
                    self.state = State::DataLf;
                }
                State::DataLf => {
                    expect(bytes[at], b'\n')?;
                    at += 1;
                    self.state = State::Size;
                }
                State::Size | State::Trailer => {
                    let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else {
                        self.keep(&bytes[at..])?;
                        return Ok((bytes.len(), false));
                    };
                    self.keep(&bytes[at..=at + end])?;
                    at += end + 1;
                    if self.end_of_line()? {
                        return Ok((at, true));
                    }
                }
            }
        }
        Ok((at, false))
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), Error> {
        let bound = if self.state == State::Size { SIZE_LINE } else { self.trailer_bytes - self.trailers };
        if self.line.len() + part.len() > bound {
            return Err(match self.state {
                State::Size => refuse("A chunk's size line is too long"),
                _ => Error::new(Kind::HeadTooLarge, "The trailers are too large"),
            });
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// True at the end of the body.
    fn end_of_line(&mut self) -> Result<bool, Error> {
        let line = std::mem::take(&mut self.line);
        let Some(content) = line.strip_suffix(b"\r\n") else {
            return Err(refuse("A line of the chunked body does not end with CRLF"));
        };
        if self.state == State::Size {
            self.state = match size(content)? {
                0 => State::Trailer,
                size => State::Data(size),
            };
            self.extensions += content.len().saturating_sub(16);
            if self.extensions > EXTENSIONS {
                return Err(refuse("The chunks have too many extensions"));
            }
            return Ok(false);
        }
        if content.is_empty() {
            return Ok(true);
        }
        self.trailers += line.len();
        trailer(content)?;
        Ok(false)
    }
}

fn expect(byte: u8, expected: u8) -> Result<(), Error> {
    match byte == expected {
        true => Ok(()),
        false => Err(refuse("A chunk is longer than its size says")),
    }
}

/// `1*HEXDIG [";" …]`: no sign, no prefix, no space.
fn size(line: &[u8]) -> Result<u64, Error> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &line[digits..];
    if digits == 0 || digits > 15 || !matches!(rest.first(), None | Some(b';')) {
        return Err(refuse("A chunk's size is not a hexadecimal number"));
    }
    if rest.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7F) {
        return Err(refuse("A chunk's extension holds a control character"));
    }
    let digit = |byte: &u8| u64::from((*byte as char).to_digit(16).unwrap_or(0));
    Ok(line[..digits].iter().fold(0, |size, byte| size << 4 | digit(byte)))
}
