//! The wire format of Protocol Buffers, as far as the gateway speaks it itself: messages of scalar, text and message
//! fields written, and the fields of foreign ones read without believing any length. What a message means is said where it
//! is used.

use serde_json::Value;

/// Values of structs within each other that are written; deeper ones are null.
const DEPTH: usize = 32;

/// A message in the making. Fields that have their type's default are left out, as proto3 does.
#[derive(Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
        self
    }

    pub fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        if !bytes.is_empty() {
            self.always(field, bytes);
        }
        self
    }

    /// Also where it is empty: that it is there says something.
    pub fn message(mut self, field: u32, message: Message) -> Self {
        self.always(field, &message.0);
        self
    }

    /// An entry of a map from text to text.
    pub fn entry(self, field: u32, key: &str, value: &str) -> Self {
        self.message(field, Message::default().text(1, key).text(2, value))
    }

    /// A `google.protobuf.Struct`, where the value is an object.
    pub fn object(value: &Value) -> Self {
        Self::nested_object(value, 0)
    }

    fn nested_object(value: &Value, depth: usize) -> Self {
        let mut message = Self::default();
        for (key, value) in value.as_object().into_iter().flatten() {
            message = message.message(1, Self::default().text(1, key).message(2, Self::value(value, depth + 1)));
        }
        message
    }

    /// A `google.protobuf.Value`: of several kinds one, which is written also where it is its default.
    fn value(value: &Value, depth: usize) -> Self {
        let mut message = Self::default();
        match value {
            _ if depth > DEPTH => message = message.null(),
            Value::Null => message = message.null(),
            Value::Bool(value) => {
                message.key(4, VARINT);
                message.varint(u64::from(*value));
            }
            Value::Number(value) => {
                message.key(2, FIXED64);
                message.0.extend_from_slice(&value.as_f64().unwrap_or(f64::NAN).to_le_bytes());
            }
            Value::String(text) => message.always(3, text.as_bytes()),
            Value::Object(_) => message = message.message(5, Self::nested_object(value, depth)),
            Value::Array(values) => {
                let list =
                    values.iter().fold(Self::default(), |list, value| list.message(1, Self::value(value, depth + 1)));
                message = message.message(6, list);
            }
        }
        message
    }

    fn null(mut self) -> Self {
        self.key(1, VARINT);
        self.varint(0);
        self
    }

    fn always(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, kind: u8) {
        put_key(&mut self.0, field, kind);
    }

    fn varint(&mut self, value: u64) {
        put_varint(&mut self.0, value);
    }
}

pub const VARINT: u8 = 0;
pub const FIXED64: u8 = 1;
pub const LENGTH: u8 = 2;
pub const GROUP: u8 = 3;
pub const GROUP_END: u8 = 4;
pub const FIXED32: u8 = 5;

/// Groups within each other that are read.
const GROUPS: usize = 32;

/// What comes before a field's value.
pub fn put_key(out: &mut Vec<u8>, field: u32, kind: u8) {
    put_varint(out, u64::from(field) << 3 | u64::from(kind));
}

pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Field<'a> {
    Number(u64),
    /// Text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    Fixed64(u64),
    Fixed32(u32),
    /// What stands between its two ends.
    Group(&'a [u8]),
}

impl<'a> Field<'a> {
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            Field::Number(_) | Field::Fixed64(_) | Field::Fixed32(_) | Field::Group(_) => Err(Malformed),
        }
    }

    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Field::Number(number) => Ok(number),
            Field::Bytes(_) | Field::Fixed64(_) | Field::Fixed32(_) | Field::Group(_) => Err(Malformed),
        }
    }
}

/// These bytes are no message, or not one of the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The fields of a message in their order, each with its number; after something malformed nothing more comes.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Option<(u32, Field<'a>)> {
        let (number, kind) = self.key()?;
        let field = match kind {
            VARINT => Field::Number(self.varint()?),
            FIXED64 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            FIXED32 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            GROUP => Field::Group(self.group(number, GROUPS)?),
            _ => return None,
        };
        Some((number, field))
    }

    fn key(&mut self) -> Option<(u32, u8)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0)?;
        Some((number, (key & 7) as u8))
    }

    /// Up to the end of the group of this number, which is read too.
    fn group(&mut self, group: u32, depth: usize) -> Option<&'a [u8]> {
        let start = self.0;
        loop {
            let content = start.len() - self.0.len();
            let (number, kind) = self.key()?;
            match kind {
                GROUP_END => return (number == group).then_some(&start[..content]),
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                FIXED32 => drop(self.take(4)?),
                LENGTH => {
                    let length = usize::try_from(self.varint()?).ok()?;
                    self.take(length)?;
                }
                GROUP if depth > 0 => drop(self.group(number, depth - 1)?),
                _ => return None,
            }
        }
    }

    /// A number alone, as packed fields hold them.
    pub fn number(&mut self) -> Option<u64> {
        self.varint()
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>, Malformed> {
        Fields::of(message).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let inner = Message::default().number(1, 300).text(2, "");
        let bytes =
            Message::default().text(1, "ä").number(2, 0).number(536_870_911, u64::MAX).message(4, inner).into_bytes();
        let inner: &[u8] = &[0x08, 0xac, 0x02];
        let expected =
            [(1, Field::Bytes("ä".as_bytes())), (536_870_911, Field::Number(u64::MAX)), (4, Field::Bytes(inner))];
        assert_eq!(read(&bytes).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn what_is_no_message_is_malformed_and_never_more_than_that() {
        let long = [0xff; 11];
        let beyond: &[u8] = &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        for bytes in
            [&[0x08][..], &[0x0a, 5, 1], &[0x00, 1], &[0x0b], &[0x0f, 0], &[0x09, 1], &[0x0d, 1], &long, beyond]
        {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
        for seed in 0..2000u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..random.usize(..64)).map(|_| random.u8(..)).collect();
            assert!(read(&bytes).is_err() || bytes.len() < 64);
        }
    }

    #[test]
    fn values_within_each_other_are_written_to_a_depth() {
        let mut value = Value::from(1);
        for _ in 0..100 {
            value = Value::Array(vec![value]);
        }
        let message = Message::object(&serde_json::json!({"deep": value}));
        assert!(message.into_bytes().len() < 300);
    }
}
