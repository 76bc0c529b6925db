//! Identifiers as lower-case hexadecimal.

use http::HeaderValue;

/// The last `N` digits of `value`; `N` is even and at most 32.
pub fn encode<const N: usize>(value: u128) -> [u8; N] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; N];
    let bytes = value.to_be_bytes();
    for (pair, byte) in text.chunks_exact_mut(2).rev().zip(bytes.iter().rev()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// `text` must be visible ASCII, as identifiers are.
pub fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""))
}
