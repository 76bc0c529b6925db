//! Numbers of JSON and of text as those of Protocol Buffers.

use super::shape::Kind;
use crate::protocol::protobuf::put_varint;

/// Writes what a text says as a number, without a key. False: it is none, or not one of this kind.
pub(super) fn put(kind: Kind, text: &str, out: &mut Vec<u8>) -> bool {
    put_known(kind, text, out).is_some()
}

fn put_known(kind: Kind, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        Kind::Double => out.extend_from_slice(&float(text)?.to_le_bytes()),
        Kind::Float => {
            let wide = float(text)?;
            let narrow = wide as f32;
            if narrow.is_infinite() && !wide.is_infinite() {
                return None;
            }
            out.extend_from_slice(&narrow.to_le_bytes());
        }
        Kind::Int32 => put_varint(out, i64::from(int32(text)?) as u64),
        Kind::Int64 => put_varint(out, signed(text)? as u64),
        Kind::Uint32 => put_varint(out, u64::from(u32::try_from(unsigned(text)?).ok()?)),
        Kind::Uint64 => put_varint(out, unsigned(text)?),
        Kind::Sint32 => put_varint(out, zigzag(i64::from(int32(text)?))),
        Kind::Sint64 => put_varint(out, zigzag(signed(text)?)),
        Kind::Fixed32 => out.extend_from_slice(&u32::try_from(unsigned(text)?).ok()?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&unsigned(text)?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&int32(text)?.to_le_bytes()),
        Kind::Sfixed64 => out.extend_from_slice(&signed(text)?.to_le_bytes()),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => return None,
    }
    Some(())
}

pub(super) fn int32(text: &str) -> Option<i32> {
    i32::try_from(signed(text)?).ok()
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

pub(super) fn from_zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn signed(text: &str) -> Option<i64> {
    if !begins(text) {
        return None;
    }
    text.parse().ok().or_else(|| {
        let value = whole(text)?;
        // The bounds are powers of two, which a float holds as they are.
        (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value).then_some(value as i64)
    })
}

fn unsigned(text: &str) -> Option<u64> {
    if !begins(text) {
        return None;
    }
    text.parse().ok().or_else(|| {
        let value = whole(text)?;
        (0.0..18_446_744_073_709_551_616.0).contains(&value).then_some(value as u64)
    })
}

/// `1.0` and `1e3` are whole numbers too.
fn whole(text: &str) -> Option<f64> {
    let fractional = text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    float(text).filter(|value| fractional && value.fract() == 0.0)
}

fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(f64::INFINITY),
        "-Infinity" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if !begins(text) || !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn begins(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put(kind, text, &mut out).then_some(out)
    }

    #[test]
    fn numbers_are_within_their_kind_and_whole_where_it_is() {
        assert_eq!(read(Kind::Int32, "-1"), Some(vec![255, 255, 255, 255, 255, 255, 255, 255, 255, 1]));
        for text in ["1", "1.0", "1e0", "10e-1"] {
            assert_eq!(read(Kind::Int32, text), Some(vec![1]), "{text}");
        }
        for text in ["", " 1", "1 ", "+1", "1.5", "2147483648", "0x1", "NaN", "1_0", "-", "inf", "1e400"] {
            assert_eq!(read(Kind::Int32, text), None, "{text}");
        }
        assert_eq!(read(Kind::Sint64, "-9223372036854775808").map(|bytes| bytes.len()), Some(10));
        assert_eq!(read(Kind::Int64, "9223372036854775808"), None);
        assert_eq!(read(Kind::Int64, "9.223372036854775808e18"), None);
        assert!(read(Kind::Uint64, "18446744073709551615").is_some());
        assert_eq!(read(Kind::Uint64, "18446744073709551616"), None);
        assert_eq!(read(Kind::Uint32, "-1"), None);
        assert_eq!(read(Kind::Float, "3.4028235e38"), Some(f32::MAX.to_le_bytes().to_vec()));
        assert_eq!(read(Kind::Float, "3.5e38"), None);
        assert_eq!(read(Kind::Double, "infinity"), None);
        assert_eq!(read(Kind::Double, "-Infinity"), Some(f64::NEG_INFINITY.to_le_bytes().to_vec()));
    }

    #[test]
    fn zigzag_goes_both_ways() {
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(from_zigzag(zigzag(value)), value);
        }
    }
}
