//! Base64url as JOSE has it (RFC 7515 §2): no padding, no line breaks, and one text for one value.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine as _;

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `None` for padding, other characters, and bits set after the last byte.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_text_of_a_value_is_read() {
        assert_eq!(decode("Zg"), Some(b"f".to_vec()));
        assert_eq!(decode("-_8"), Some(vec![0xFB, 0xFF]));
        assert_eq!(decode(""), Some(Vec::new()));
        for wrong in ["Zg==", "Zg=", "Zh", "Zm9", "Z", "+/8", "Zm 9", "Zm9v\n", "\u{e9}", "Zm9v."] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
