//! The encoders of the three codings behind one face. Each holds its window and its tables; the levels are those at which
//! a response costs about as much time as the network saves (docs/adr/0011).

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::Compression;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::snapshot::Algorithm;

const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
/// 2¹⁸ bytes.
const BROTLI_WINDOW: u32 = 18;
const ZSTD_LEVEL: i32 = 3;
/// 2¹⁹ bytes, well below the 8 MiB that a client must be able to hold (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 19;
/// What brotli writes at once.
const BROTLI_BUFFER: usize = 8 * 1024;

pub enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Br(Box<CompressorWriter<Vec<u8>>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Encoder {
    pub fn new(algorithm: Algorithm) -> io::Result<Self> {
        Ok(match algorithm {
            Algorithm::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Algorithm::Br => {
                let writer = CompressorWriter::new(Vec::new(), BROTLI_BUFFER, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Br(Box::new(writer))
            }
            Algorithm::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                Self::Zstd(encoder)
            }
        })
    }

    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(piece),
            Self::Br(encoder) => encoder.write_all(piece),
            Self::Zstd(encoder) => encoder.write_all(piece),
        }
    }

    /// After it, what has been taken decodes to all that has been written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Br(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    /// What is ready; may be empty.
    pub fn take(&mut self) -> Bytes {
        let ready = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Br(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Bytes::from(std::mem::take(ready))
    }

    /// The last bytes.
    pub fn finish(self) -> io::Result<Bytes> {
        let ready = match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Br(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        };
        Ok(Bytes::from(ready))
    }
}
