//! Takes a body's content out of a connection's bytes (RFC 9112 §6 and §7.1), without a copy and without I/O; refuses
//! what parsers disagree about. For requests and for answers alike.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::HeaderMap;

use crate::error::{Error, Kind};
use crate::head;

/// A chunk's size line, extensions included.
const SIZE_LINE: usize = 256;
/// Extensions of all chunks together: nobody uses them, so many of them are an attack.
const EXTENSIONS: usize = 16 * 1024;
/// Fields of a trailer section.
const TRAILERS: usize = 100;

#[derive(Debug)]
pub(crate) enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Ends with the connection; only answers do.
    UntilClose,
}

/// What the bytes at hand hold.
#[derive(Debug)]
pub(crate) enum Decoded {
    Data(Bytes),
    /// The body has ended with these.
    Trailers(HeaderMap),
    End,
    /// Nothing that is whole.
    More,
}

impl Decoder {
    pub(crate) fn length(length: u64) -> Self {
        Self::Length(length)
    }

    /// `trailer_bytes` bounds the trailer section.
    pub(crate) fn chunked(trailer_bytes: usize, allowed: Trailers) -> Self {
        let (state, trailers) = (State::Size, HeaderMap::new());
        Self::Chunked(Chunked { state, extensions: 0, trailers, left: trailer_bytes, allowed })
    }

    /// Takes what it can from the front. After an error or the end nothing more may be asked for.
    pub(crate) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, Error> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(left) => Ok(take(bytes, left)),
            Self::UntilClose if bytes.is_empty() => Ok(Decoded::More),
            Self::UntilClose => Ok(Decoded::Data(bytes.split().freeze())),
            Self::Chunked(chunked) => chunked.decode(bytes),
        }
    }

    /// The end has been reached.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.state == State::Done,
            Self::UntilClose => false,
        }
    }

    /// Content that is still to come, if that is known.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunked) if chunked.state == State::Done => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

fn take(bytes: &mut BytesMut, left: &mut u64) -> Decoded {
    if bytes.is_empty() {
        return Decoded::More;
    }
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    Decoded::Data(bytes.split_to(taken).freeze())
}

/// What a trailer section may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trailers {
    /// Nothing that frames or routes (RFC 9110 §6.5.1): from a client that is an attack.
    Harmless,
    /// Whoever passes them on takes out what does not belong there.
    Any,
}

#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    extensions: usize,
    trailers: HeaderMap,
    /// Bytes that the trailer section may still have.
    left: usize,
    allowed: Trailers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    /// The line end behind a chunk's data.
    DataEnd,
    Trailer,
    Done,
}

impl Chunked {
    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, Error> {
        loop {
            match &mut self.state {
                State::Done => return Ok(Decoded::End),
                State::Data(left) => {
                    let data = take(bytes, left);
                    if *left == 0 {
                        self.state = State::DataEnd;
                        self.pass_ends(bytes)?;
                    }
                    return Ok(data);
                }
                State::DataEnd => {
                    if !expect_line_end(bytes)? {
                        return Ok(Decoded::More);
                    }
                    self.state = State::Size;
                }
                State::Size => {
                    let Some(line) = line(bytes, SIZE_LINE, || refuse("A chunk's size line is too long"))? else {
                        return Ok(Decoded::More);
                    };
                    self.size_line(&line)?;
                }
                State::Trailer => {
                    let too_large = || Error::new(Kind::HeadTooLarge, "The trailers are too large");
                    let Some(line) = line(bytes, self.left, too_large)? else {
                        return Ok(Decoded::More);
                    };
                    if line.is_empty() {
                        self.state = State::Done;
                        return Ok(match self.trailers.is_empty() {
                            true => Decoded::End,
                            false => Decoded::Trailers(std::mem::take(&mut self.trailers)),
                        });
                    }
                    self.left = self.left.saturating_sub(line.len() + 2);
                    let (name, value) = head::trailer(&line)?;
                    let frames = matches!(name, CONTENT_LENGTH | TRANSFER_ENCODING | HOST);
                    if frames && self.allowed == Trailers::Harmless {
                        return Err(refuse("A trailer holds a header that belongs into the head"));
                    }
                    if self.trailers.len() >= TRAILERS {
                        return Err(too_large());
                    }
                    self.trailers.append(name, value);
                }
            }
        }
    }

    /// Takes the end of the body along with its last data where both have come, so that whoever has the data knows that
    /// it was the last.
    fn pass_ends(&mut self, bytes: &mut BytesMut) -> Result<(), Error> {
        const ENDS: &[u8] = b"\r\n0\r\n\r\n";
        if bytes.starts_with(ENDS) {
            bytes.advance(ENDS.len());
            self.state = State::Done;
        }
        Ok(())
    }

    fn size_line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.state = match size(line)? {
            0 => State::Trailer,
            size => State::Data(size),
        };
        self.extensions += line.len().saturating_sub(16);
        match self.extensions > EXTENSIONS {
            true => Err(refuse("The chunks have too many extensions")),
            false => Ok(()),
        }
    }
}

/// A whole line without its end, `bound` bytes long at most with it.
fn line(bytes: &mut BytesMut, bound: usize, too_long: impl Fn() -> Error) -> Result<Option<BytesMut>, Error> {
    let end = memchr::memchr(b'\n', bytes);
    if end.map_or(bytes.len(), |end| end + 1) > bound {
        return Err(too_long());
    }
    let Some(end) = end else { return Ok(None) };
    let mut line = bytes.split_to(end + 1);
    if !line.ends_with(b"\r\n") {
        return Err(refuse("A line of the chunked body does not end with CRLF"));
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

fn expect_line_end(bytes: &mut BytesMut) -> Result<bool, Error> {
    match bytes.as_ref() {
        [] | [b'\r'] => Ok(false),
        [b'\r', b'\n', ..] => {
            bytes.advance(2);
            Ok(true)
        }
        _ => Err(refuse("A chunk is longer than its size says")),
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

fn refuse(detail: &str) -> Error {
    Error::new(Kind::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &[u8] = b"5\r\nhello\r\n000b;a=\"b\"\r\n, the world\r\n0\r\nx-sum: 1\r\n\r\nGET /";

    /// Content, trailers, and what is left behind them.
    type Taken = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    fn content(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<Taken, Error> {
        let (mut content, mut bytes) = (Vec::new(), BytesMut::new());
        let mut pieces = pieces.iter();
        loop {
            match decoder.decode(&mut bytes)? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::Trailers(trailers) => return Ok((content, Some(trailers), rest(bytes, pieces))),
                Decoded::End => return Ok((content, None, rest(bytes, pieces))),
                Decoded::More => match pieces.next() {
                    Some(piece) => bytes.extend_from_slice(piece),
                    None => return Ok((content, None, b"more".to_vec())),
                },
            }
        }
    }

    fn rest<'a>(bytes: BytesMut, pieces: impl Iterator<Item = &'a &'a [u8]>) -> Vec<u8> {
        pieces.fold(bytes.to_vec(), |mut rest, piece| {
            rest.extend_from_slice(piece);
            rest
        })
    }

    #[test]
    fn a_chunked_body_is_the_same_wherever_its_bytes_are_cut() {
        for cut in 0..WIRE.len() {
            let (before, after) = WIRE.split_at(cut);
            let (content, trailers, rest) =
                content(&mut Decoder::chunked(1024, Trailers::Harmless), &[before, after]).unwrap();
            assert_eq!(content, b"hello, the world", "{cut}");
            assert_eq!(trailers.unwrap()["x-sum"], "1", "{cut}");
            assert_eq!(rest, b"GET /", "{cut}");
        }
        let bytes: Vec<&[u8]> = WIRE.chunks(1).collect();
        assert_eq!(content(&mut Decoder::chunked(1024, Trailers::Harmless), &bytes).unwrap().0, b"hello, the world");
    }

    #[test]
    fn the_end_is_known_with_the_last_data_when_both_have_come() {
        let mut decoder = Decoder::chunked(1024, Trailers::Harmless);
        let mut bytes = BytesMut::from(&b"2\r\nok\r\n0\r\n\r\nrest"[..]);
        assert!(matches!(decoder.decode(&mut bytes), Ok(Decoded::Data(data)) if data == "ok"));
        assert!(decoder.is_done());
        assert_eq!(bytes, "rest");
    }

    #[test]
    fn what_parsers_disagree_about_is_refused_wherever_it_is_cut() {
        let long = format!("5;{}\r\nhello\r\n", "x".repeat(300));
        for wrong in [
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5_0\r\nhello\r\n",
            "\r\n",
            "5\nhello\n0\n\n",
            "5\r\nhello!\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "1234567890abcdef\r\n",
            "5;\x01\r\nhello\r\n",
            "0\r\ncontent-length: 5\r\n\r\n",
            "0\r\nTransfer-Encoding: x\r\n\r\n",
            "0\r\nhost: a\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nname : x\r\n\r\n",
            "0\r\n folded: x\r\n\r\n",
            &long,
        ] {
            for cut in 0..wrong.len() {
                let (before, after) = wrong.as_bytes().split_at(cut);
                assert!(
                    content(&mut Decoder::chunked(1024, Trailers::Harmless), &[before, after]).is_err(),
                    "{wrong:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn trailers_and_extensions_are_bounded() {
        let many: String = (0..200).map(|number| format!("a{number}: 1\r\n")).collect();
        let error =
            content(&mut Decoder::chunked(1 << 20, Trailers::Harmless), &[format!("0\r\n{many}\r\n").as_bytes()])
                .unwrap_err();
        assert_eq!(error.kind, Kind::HeadTooLarge);
        let error = content(&mut Decoder::chunked(64, Trailers::Harmless), &[format!("0\r\n{many}\r\n").as_bytes()])
            .unwrap_err();
        assert_eq!(error.kind, Kind::HeadTooLarge);
        let extended = format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(100);
        assert!(content(&mut Decoder::chunked(1024, Trailers::Harmless), &[extended.as_bytes()]).is_err());
    }

    #[test]
    fn a_length_is_taken_to_the_byte() {
        let (content, _, rest) = content(&mut Decoder::length(5), &[b"he", b"lloGET", b" /"]).unwrap();
        assert_eq!((content.as_slice(), rest.as_slice()), (&b"hello"[..], &b"GET /"[..]));
    }
}
