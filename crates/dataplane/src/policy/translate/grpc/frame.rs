//! Messages as gRPC sends them, with a head of five bytes each (grpc/doc/PROTOCOL-HTTP2.md).

use std::io::Read as _;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::read::MultiGzDecoder;

/// Compression and length.
pub const HEAD: usize = 5;

/// Begins a message that is written behind it; `finish` tells its length.
pub fn begin(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + capacity);
    out.extend_from_slice(&[0; HEAD]);
    out
}

/// None: it is longer than gRPC can say.
pub fn finish(mut out: Vec<u8>) -> Option<Bytes> {
    let length = u32::try_from(out.len() - HEAD).ok()?;
    out[1..HEAD].copy_from_slice(&length.to_be_bytes());
    Some(out.into())
}

/// Why the bytes of a stream are no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    TooLarge,
    Compression,
    Malformed,
}

/// Takes a stream apart, however it is cut.
pub struct Frames {
    waiting: BytesMut,
    /// A piece that is not copied as long as whole messages stand in it.
    piece: Bytes,
    most: usize,
    gzip: bool,
}

impl Frames {
    /// `most`: bytes of one message, before and after it is decompressed. `gzip`: what compressed messages are compressed
    /// with; without it they are a fault.
    pub fn new(most: usize, gzip: bool) -> Self {
        Self { waiting: BytesMut::new(), piece: Bytes::new(), most, gzip }
    }

    pub fn push(&mut self, data: Bytes) {
        match self.waiting.is_empty() && self.piece.is_empty() {
            true => self.piece = data,
            false => {
                self.waiting.extend_from_slice(&std::mem::take(&mut self.piece));
                self.waiting.extend_from_slice(&data);
            }
        }
    }

    /// The stream may end here.
    pub fn is_between(&self) -> bool {
        self.waiting.is_empty() && self.piece.is_empty()
    }

    /// The next whole message.
    pub fn message(&mut self) -> Result<Option<Bytes>, Fault> {
        let held: &[u8] = if self.waiting.is_empty() { &self.piece } else { &self.waiting };
        let [compressed, a, b, c, d, ..] = *held else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > self.most {
            return Err(Fault::TooLarge);
        }
        if held.len() < HEAD + length {
            return Ok(None);
        }
        let message = match self.waiting.is_empty() {
            true => {
                self.piece.advance(HEAD);
                self.piece.split_to(length)
            }
            false => {
                self.waiting.advance(HEAD);
                self.waiting.split_to(length).freeze()
            }
        };
        match compressed {
            0 => Ok(Some(message)),
            1 if self.gzip => self.decompress(&message).map(Some),
            1 => Err(Fault::Compression),
            _ => Err(Fault::Malformed),
        }
    }

    fn decompress(&self, message: &[u8]) -> Result<Bytes, Fault> {
        let mut whole = Vec::new();
        let limit = self.most as u64 + 1;
        MultiGzDecoder::new(message).take(limit).read_to_end(&mut whole).map_err(|_| Fault::Malformed)?;
        match whole.len() > self.most {
            true => Err(Fault::TooLarge),
            false => Ok(whole.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut out = begin(0);
        out.extend_from_slice(message);
        let mut out = finish(out).unwrap().to_vec();
        out[0] = flag;
        out
    }

    #[test]
    fn messages_are_found_however_the_stream_is_cut() {
        let stream = [frame(0, b"one"), frame(0, b""), frame(0, b"three")].concat();
        for cut in 0..=stream.len() {
            let (mut frames, mut found) = (Frames::new(10, false), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                frames.push(Bytes::copy_from_slice(piece));
                while let Some(message) = frames.message().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [&b"one"[..], b"", b"three"], "cut at {cut}");
            assert!(frames.is_between());
        }
    }

    #[test]
    fn messages_are_bounded_before_and_after_they_are_decompressed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let compressed = encoder.finish().unwrap();
        for (most, gzip, expected) in [
            (2000, true, Ok(1000)),
            (999, true, Err(Fault::TooLarge)),
            (5, true, Err(Fault::TooLarge)),
            (2000, false, Err(Fault::Compression)),
        ] {
            let mut frames = Frames::new(most, gzip);
            frames.push(frame(1, &compressed).into());
            assert_eq!(frames.message().map(|message| message.unwrap().len()), expected);
        }
        let mut frames = Frames::new(100, true);
        frames.push(frame(1, b"no gzip").into());
        assert_eq!(frames.message(), Err(Fault::Malformed));
    }
}
