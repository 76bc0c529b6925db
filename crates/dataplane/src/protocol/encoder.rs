//! Puts a body's pieces into a connection's bytes (RFC 9112 §6 and §7.1), without I/O and without copying what is large.
//! For requests and for answers alike.

use bytes::Bytes;
use http::HeaderMap;

/// Data up to this is copied behind what else is written: cheaper than a second buffer in the system call.
const COPIED: usize = 1024;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// There is none, whatever the body holds.
    None,
    /// So many bytes are still to come.
    Length(u64),
    /// `open`: the data of the last chunk has been given out, and its line end must follow.
    Chunked { open: bool },
    /// Ends with the connection: the client is too old for chunks.
    Close,
}

/// The body is longer or shorter than its head said.
#[derive(Debug)]
pub(crate) struct WrongLength;

impl Encoder {
    pub(crate) const CHUNKED: Self = Self::Chunked { open: false };

    /// Adds a piece of the body to `out`. What is given back is to be written behind `out`.
    pub(crate) fn piece(&mut self, out: &mut Vec<u8>, data: Bytes) -> Result<Bytes, WrongLength> {
        if data.is_empty() {
            return Ok(data);
        }
        self.close_chunk(out);
        match self {
            Self::None => return Ok(Bytes::new()),
            Self::Length(left) => *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?,
            Self::Chunked { open } => {
                size_line(out, data.len());
                *open = true;
            }
            Self::Close => {}
        }
        if data.len() > COPIED {
            return Ok(data);
        }
        out.extend_from_slice(&data);
        self.close_chunk(out);
        Ok(Bytes::new())
    }

    /// Adds the line end of the chunk whose data has been written. Before the next piece or the end this happens by
    /// itself; to be asked for when nothing follows for now.
    pub(crate) fn close_chunk(&mut self, out: &mut Vec<u8>) {
        if let Self::Chunked { open } = self {
            if std::mem::take(open) {
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Adds the end of the body.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>, trailers: Option<&HeaderMap>) -> Result<(), WrongLength> {
        self.close_chunk(out);
        match self {
            Self::Length(1..) => Err(WrongLength),
            Self::Length(0) | Self::None | Self::Close => Ok(()),
            Self::Chunked { .. } => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    field(out, name.as_str().as_bytes(), value.as_bytes());
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }
}

/// A field line.
pub(crate) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn size_line(out: &mut Vec<u8>, size: usize) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut left = size;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[left & 15];
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut encoder: Encoder, pieces: &[usize]) -> Result<Vec<u8>, WrongLength> {
        let mut out = Vec::new();
        for size in pieces {
            let data = encoder.piece(&mut out, Bytes::from(vec![b'x'; *size]))?;
            out.extend_from_slice(&data);
        }
        encoder.end(&mut out, None)?;
        Ok(out)
    }

    #[test]
    fn chunks_large_and_small_are_closed_and_ended() {
        let x = "x".repeat(5000);
        let expected = format!("2\r\nxx\r\n1388\r\n{x}\r\n1\r\nx\r\n0\r\n\r\n");
        assert_eq!(written(Encoder::CHUNKED, &[2, 5000, 0, 1]).unwrap(), expected.as_bytes());
    }

    #[test]
    fn a_body_has_exactly_the_length_that_was_said() {
        assert_eq!(written(Encoder::Length(5), &[2, 3]).unwrap(), b"xxxxx");
        assert!(written(Encoder::Length(5), &[2]).is_err());
        assert!(written(Encoder::Length(5), &[6]).is_err());
        assert!(written(Encoder::Length(5), &[4, 2]).is_err());
    }
}
