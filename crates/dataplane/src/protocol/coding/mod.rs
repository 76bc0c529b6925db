//! Content codings (RFC 9110 §8.4.1) of messages whose content has to be read: taken off within a bound, so that what was
//! made to expand (a decompression bomb) costs no more than the bound.

mod decoder;
mod stream;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::HeaderMap;

use self::decoder::Decoder;

pub use self::stream::Decoded;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    Deflate,
    Br,
    Zstd,
}

/// Why there is no plain content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not what `Content-Encoding` says, or ends too early.
    Damaged,
    TooLarge,
}

impl Coding {
    /// What a message says of its content; None: a coding that is not known, or several.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(CONTENT_ENCODING).iter();
        let mut codings = fields
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        let Some(name) = codings.next() else { return Some(Self::Identity) };
        Self::named(name).filter(|_| codings.next().is_none())
    }

    /// One by its name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_slice() {
            b"identity" | b"" => Self::Identity,
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Br,
            b"zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// All of a content, of at most `most` bytes when it is plain.
    pub fn decode(self, content: &Bytes, most: usize) -> Result<Bytes, Fault> {
        // Nothing at all is what some send as an empty content, whatever they call it.
        if self == Self::Identity || content.is_empty() {
            return Ok(content.clone());
        }
        let mut decoder = Decoder::new(self, content, most)?;
        decoder.write(content)?;
        decoder.finish().map(Bytes::from)
    }
}
