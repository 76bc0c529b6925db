//! Base64 of a stream (RFC 4648 §4): read however it is cut, with padding wherever its sender ended a piece.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A whole piece, padded.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = bits >> (18 - 6 * place) & 0x3F;
            text.push(if place <= group.len() { ALPHABET[six as usize] } else { b'=' });
        }
    }
    text
}

/// What has been read of a group of four characters.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    bits: u32,
    digits: u8,
    padding: u8,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotBase64;

impl Decoder {
    /// Nothing is passed over: a line break is an error like any other character.
    pub(super) fn decode(&mut self, text: &[u8]) -> Result<Vec<u8>, NotBase64> {
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
        for char in text {
            match digit(*char) {
                Some(value) if self.padding == 0 => {
                    self.bits = self.bits << 6 | value;
                    self.digits += 1;
                }
                None if *char == b'=' && self.digits >= 2 => self.padding += 1,
                _ => return Err(NotBase64),
            }
            if self.digits + self.padding == 4 {
                let bits = self.bits << (6 * self.padding);
                let count = 3 - usize::from(self.padding);
                let group = bits.to_be_bytes();
                if group[1 + count..].iter().any(|rest| *rest != 0) {
                    return Err(NotBase64);
                }
                bytes.extend_from_slice(&group[1..=count]);
                *self = Self::default();
            }
        }
        Ok(bytes)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.digits == 0
    }
}

fn digit(char: u8) -> Option<u32> {
    Some(u32::from(match char {
        b'A'..=b'Z' => char - b'A',
        b'a'..=b'z' => char - b'a' + 26,
        b'0'..=b'9' => char - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out_and_go_back_however_they_are_cut() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, text) in table {
            assert_eq!(encode(plain.as_bytes()), text.as_bytes());
            for cut in 0..=text.len() {
                let mut decoder = Decoder::default();
                let mut bytes = decoder.decode(&text.as_bytes()[..cut]).unwrap();
                bytes.extend(decoder.decode(&text.as_bytes()[cut..]).unwrap());
                assert_eq!(bytes, plain.as_bytes());
                assert!(decoder.is_complete());
            }
        }
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(Decoder::default().decode(&encode(&every)), Ok(every));
    }

    #[test]
    fn pieces_may_follow_one_another_and_nothing_else_is_taken() {
        assert_eq!(Decoder::default().decode(b"Zg==Zm8=Zm9v"), Ok(b"ffofoo".to_vec()));
        for wrong in ["Z", "Zg", "Zg=", "Zm9vY"] {
            let mut decoder = Decoder::default();
            decoder.decode(wrong.as_bytes()).unwrap();
            assert!(!decoder.is_complete(), "{wrong}");
        }
        for wrong in ["=", "Z===", "Zg=a", "Zh==", "Zm9=", "Zg\n==", "Zm9-", "Zg== "] {
            let mut decoder = Decoder::default();
            let taken = decoder.decode(wrong.as_bytes());
            assert!(taken.is_err(), "{wrong}: {taken:?}");
        }
    }
}
