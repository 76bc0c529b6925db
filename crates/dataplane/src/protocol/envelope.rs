//! Messages behind five bytes: flags, and a length of four (grpc/doc/PROTOCOL-HTTP2.md, and the Connect protocol's
//! Enveloped-Message), without I/O.

use bytes::{Buf, Bytes, BytesMut};

pub(crate) const HEAD: usize = 5;
/// The message is compressed.
pub(crate) const COMPRESSED: u8 = 1;

/// A message is larger than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Holds one message, at most so large as allowed, and what has come behind it.
pub(crate) struct Envelopes {
    most: usize,
    buffer: BytesMut,
}

impl Envelopes {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, buffer: BytesMut::new() }
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// Flags and message; None: more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Bytes)>, TooLarge> {
        let [flags, a, b, c, d, ..] = *self.buffer else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok().filter(|length| *length <= self.most);
        let length = length.ok_or(TooLarge)?;
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        Ok(Some((flags, self.buffer.split_to(length).freeze())))
    }

    /// Nothing of a message has come that is not whole.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// The message must be shorter than 4 GiB, which every bound is.
pub(crate) fn write(flags: u8, message: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEAD + message.len());
    bytes.push(flags);
    bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let wire = [write(0, b"one"), write(1, b""), write(2, b"three")].concat();
        for size in 1..wire.len() {
            let (mut envelopes, mut found) = (Envelopes::new(5), Vec::new());
            for piece in wire.chunks(size) {
                envelopes.push(piece);
                while let Ok(Some(message)) = envelopes.next() {
                    found.push(message);
                }
            }
            assert!(envelopes.is_empty());
            assert_eq!(found, [(0, "one".into()), (1, "".into()), (2, "three".into())]);
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut envelopes = Envelopes::new(5);
        envelopes.push(b"\0\xff\xff\xff\xff");
        assert_eq!(envelopes.next(), Err(TooLarge));
    }
}
