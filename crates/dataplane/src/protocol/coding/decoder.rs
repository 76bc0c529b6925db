//! The decoders of the four codings behind one face.

use std::io::{self, Write};

use brotli::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::{self, DParameter, Operation};

use super::{Coding, Fault};

/// What brotli and zstd write at once.
const PIECE: usize = 16 * 1024;
/// 8 MiB, which every decoder of HTTP can hold and no encoder may exceed (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

pub enum Decoder {
    Gzip(MultiGzDecoder<Plain>),
    Zlib(ZlibDecoder<Plain>),
    /// Without the wrapper that RFC 9110 §8.4.1.2 asks for, as some send it.
    Deflate(DeflateDecoder<Plain>),
    Br(Box<DecompressorWriter<Plain>>),
    Zstd(Zstd),
}

impl Decoder {
    /// `first`: how the content begins, at least one byte of it. `most`: what may come of it before it is taken.
    pub fn new(coding: Coding, first: &[u8], most: usize) -> Result<Self, Fault> {
        let plain = Plain { bytes: Vec::new(), most, full: false };
        Ok(match coding {
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(plain)),
            Coding::Deflate if is_zlib(first) => Self::Zlib(ZlibDecoder::new(plain)),
            Coding::Deflate | Coding::Identity => Self::Deflate(DeflateDecoder::new(plain)),
            Coding::Br => Self::Br(Box::new(DecompressorWriter::new(plain, PIECE))),
            Coding::Zstd => Self::Zstd(Zstd::new(plain).map_err(|_| Fault::Damaged)?),
        })
    }

    pub fn write(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let outcome = match self {
            Self::Gzip(decoder) => decoder.write_all(piece),
            Self::Zlib(decoder) => decoder.write_all(piece),
            Self::Deflate(decoder) => decoder.write_all(piece),
            Self::Br(decoder) => decoder.write_all(piece),
            Self::Zstd(decoder) => decoder.write(piece),
        };
        self.told(outcome)
    }

    /// After it, all that the pieces so far say is there to be taken.
    pub fn flush(&mut self) -> Result<(), Fault> {
        let outcome = match self {
            Self::Gzip(decoder) => decoder.flush(),
            Self::Zlib(decoder) => decoder.flush(),
            Self::Deflate(decoder) => decoder.flush(),
            Self::Br(decoder) => decoder.flush(),
            Self::Zstd(_) => Ok(()),
        };
        self.told(outcome)
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plain().bytes)
    }

    /// The last of it; a content that ends too early is damaged.
    pub fn finish(mut self) -> Result<Vec<u8>, Fault> {
        let outcome = match &mut self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Br(decoder) => decoder.close(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        self.told(outcome)?;
        Ok(self.take())
    }

    fn told(&mut self, outcome: io::Result<()>) -> Result<(), Fault> {
        match outcome {
            Ok(()) => Ok(()),
            Err(_) if self.plain().full => Err(Fault::TooLarge),
            Err(_) => Err(Fault::Damaged),
        }
    }

    fn plain(&mut self) -> &mut Plain {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Br(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => &mut decoder.plain,
        }
    }
}

/// RFC 1950 §2.2: compression method 8, and a check over two bytes.
fn is_zlib(first: &[u8]) -> bool {
    let &[method, flags, ..] = first else { return first.first().is_some_and(|method| method & 0x0f == 8) };
    method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0
}

/// What has come of the content so far, bounded.
pub struct Plain {
    bytes: Vec<u8>,
    most: usize,
    full: bool,
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.bytes.len() {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The library's writer does not tell whether the last frame is complete.
pub struct Zstd {
    raw: raw::Decoder<'static>,
    plain: Plain,
    within_frame: bool,
}

impl Zstd {
    fn new(plain: Plain) -> io::Result<Self> {
        let mut raw = raw::Decoder::new()?;
        raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
        Ok(Self { raw, plain, within_frame: true })
    }

    fn write(&mut self, mut piece: &[u8]) -> io::Result<()> {
        let mut output = [0; PIECE];
        loop {
            let status = self.raw.run_on_buffers(piece, &mut output)?;
            self.plain.write_all(&output[..status.bytes_written])?;
            piece = &piece[status.bytes_read..];
            self.within_frame = status.remaining > 0;
            // A full buffer may have left something behind.
            if piece.is_empty() && status.bytes_written < output.len() {
                return Ok(());
            }
            if !self.within_frame {
                self.raw.reinit()?;
            } else if status.bytes_read == 0 && status.bytes_written == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    fn finish(&self) -> io::Result<()> {
        match self.within_frame {
            true => Err(io::ErrorKind::UnexpectedEof.into()),
            false => Ok(()),
        }
    }
}
