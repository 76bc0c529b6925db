//! Identifiers as lower-case hexadecimal.

use http::HeaderValue;

const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The last `N` digits of `value`; `N` is even and at most 32.
pub fn encode<const N: usize>(value: u128) -> [u8; N] {
    let mut text = [b'0'; N];
    let bytes = value.to_be_bytes();
    for (pair, byte) in text.chunks_exact_mut(2).zip(&bytes[bytes.len() - N / 2..]) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
    text
}

/// `text` must be visible ASCII, as identifiers are.
pub fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""))
}
