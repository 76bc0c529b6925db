//! Messages written as JSON. Fields stand in the order of their numbers, whatever the order in which they came.

use super::number::from_zigzag;
use super::shape::{Field, Kind, Known, Messages, Plurality, Shape};
use super::text::encode_base64;
use super::{well_known, WriteRules};
use crate::protocol::protobuf::{self, Fields, Malformed};

/// Why a message has no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl Unreadable {
    pub(super) const DEEP: Self = Self("it is nested deeper than 64 levels");
    pub(super) const NOT_TEXT: Self = Self("a string in it is not text");
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Self("it is malformed")
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

pub(super) struct Writing<'m> {
    pub(super) messages: &'m Messages,
    pub(super) rules: WriteRules,
}

/// A field as it came: its position among the fields of its type, and what stood there.
type Entry<'b> = (usize, protobuf::Field<'b>);

impl Writing<'_> {
    pub(super) fn message(
        &self,
        index: usize,
        message: &[u8],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let depth = depth.checked_sub(1).ok_or(Unreadable::DEEP)?;
        let shape = self.messages.shape(index);
        match shape.known {
            Known::No => self.object(shape, message, depth, out),
            Known::Any => self.any(message, depth, out),
            Known::Wrapper => self.one_field(index, 0, message, out),
            Known::Timestamp | Known::Duration | Known::FieldMask => well_known::write_text(shape.known, message, out),
            Known::Struct | Known::Value | Known::ListValue => {
                well_known::write_structure(shape.known, message, depth + 1, out)
            }
        }
    }

    /// The value alone of a field, its default where it is absent.
    pub(super) fn one_field(
        &self,
        index: usize,
        position: usize,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let shape = self.messages.shape(index);
        let Some(field) = shape.fields.get(position) else { return Err(Unreadable("it has no field")) };
        let mut entries = self.entries(shape, message)?;
        entries.retain(|(other, _)| *other == position);
        match entries.is_empty() {
            true => self.default(field, out)?,
            false => self.value(field, &entries, super::DEPTH - 1, out)?,
        }
        Ok(())
    }

    fn object(&self, shape: &Shape, message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut entries = self.entries(shape, message)?;
        if !entries.is_sorted_by_key(|(position, _)| *position) {
            entries.sort_by_key(|(position, _)| *position);
        }
        out.push(b'{');
        let mut rest = &entries[..];
        if self.rules.defaults {
            for (position, field) in shape.fields.iter().enumerate() {
                let count = rest.iter().take_while(|(other, _)| *other == position).count();
                let (these, others) = rest.split_at(count);
                rest = others;
                if !these.is_empty() {
                    self.member(field, these, depth, out)?;
                } else if field.plurality != (Plurality::One { presence: true }) {
                    self.key(field, out);
                    self.default(field, out)?;
                }
            }
        } else {
            while let Some((position, _)) = rest.first() {
                let count = rest.iter().take_while(|(other, _)| other == position).count();
                let (these, others) = rest.split_at(count);
                rest = others;
                self.member(&shape.fields[*position], these, depth, out)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn key(&self, field: &Field, out: &mut Vec<u8>) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(if self.rules.original_names { &field.original_key } else { &field.json_key });
    }

    fn member(&self, field: &Field, entries: &[Entry<'_>], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        // A default that was sent although nothing can tell it from nothing.
        if field.plurality == (Plurality::One { presence: false }) && !self.rules.defaults {
            if let Some((_, value)) = entries.last() {
                if is_zero(*value) {
                    return Ok(());
                }
            }
        }
        let start = out.len();
        self.key(field, out);
        let key = out.len();
        self.value(field, entries, depth, out)?;
        // An empty list of packed numbers.
        if !self.rules.defaults && matches!(field.plurality, Plurality::Many { .. }) && &out[key..] == b"[]" {
            out.truncate(start);
        }
        Ok(())
    }

    fn value(&self, field: &Field, entries: &[Entry<'_>], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match field.plurality {
            Plurality::One { .. } => match (field.kind, entries) {
                // A message that came in pieces is all of them.
                (Kind::Message(index) | Kind::Group(index), [_, _, ..]) => {
                    let mut whole = Vec::new();
                    for (_, piece) in entries {
                        whole.extend_from_slice(content(*piece)?);
                    }
                    self.message(index, &whole, depth, out)
                }
                (kind, [.., (_, value)]) => self.single(kind, *value, depth, out),
                (_, []) => Ok(()),
            },
            Plurality::Many { .. } => {
                out.push(b'[');
                for (_, value) in entries {
                    match (*value, field.kind) {
                        (protobuf::Field::Bytes(packed), kind) if is_packable(kind) => {
                            self.packed(kind, packed, out)?
                        }
                        (value, kind) => {
                            separate(out);
                            self.single(kind, value, depth, out)?;
                        }
                    }
                }
                out.push(b']');
                Ok(())
            }
            Plurality::Map => self.map(field, entries, depth, out),
        }
    }

    fn packed(&self, kind: Kind, packed: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let mut numbers = Fields::of(packed);
        while !numbers.is_empty() {
            let value = match super::text::wire(kind) {
                protobuf::FIXED64 => numbers.array().map(|bytes| protobuf::Field::Fixed64(u64::from_le_bytes(bytes))),
                protobuf::FIXED32 => numbers.array().map(|bytes| protobuf::Field::Fixed32(u32::from_le_bytes(bytes))),
                _ => numbers.number().map(protobuf::Field::Number),
            };
            let value = value.ok_or(Malformed)?;
            if self.takes(kind, value) {
                separate(out);
                self.single(kind, value, 1, out)?;
            }
        }
        Ok(())
    }

    fn map(&self, field: &Field, entries: &[Entry<'_>], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Kind::Message(entry) = field.kind else { return Err(Malformed.into()) };
        let shape = self.messages.shape(entry);
        let [key, value] = &*shape.fields else { return Err(Malformed.into()) };
        let mut members = Vec::with_capacity(entries.len());
        for (_, entry) in entries {
            let entry = content(*entry)?;
            let fields = self.entries(shape, entry)?;
            // A value that its enum does not take is no entry.
            if fields.iter().all(|(position, _)| *position == 0) && self.has_untaken(value, entry) {
                continue;
            }
            let mut name = Vec::new();
            let keys = fields.iter().rfind(|(position, _)| *position == 0);
            match keys {
                Some((_, written)) => self.single(key.kind, *written, 1, &mut name)?,
                None => self.default(key, &mut name)?,
            }
            if name.first() != Some(&b'"') {
                name.insert(0, b'"');
                name.push(b'"');
            }
            members.push((name, fields));
        }
        out.push(b'{');
        for (index, (name, fields)) in members.iter().enumerate() {
            // Of two entries of one key the last counts. Sorting would cost more where there are few.
            if members.len() <= 16 && members[index + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            out.extend_from_slice(name);
            out.push(b':');
            let values: Vec<Entry<'_>> = fields.iter().filter(|(position, _)| *position == 1).copied().collect();
            match (values.is_empty(), value.kind) {
                (false, _) => self.value(value, &values, depth, out)?,
                (true, Kind::Message(index)) => self.message(index, b"", depth, out)?,
                (true, _) => self.default(value, out)?,
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn single(
        &self,
        kind: Kind,
        value: protobuf::Field<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        use protobuf::Field::{Bytes, Fixed32, Fixed64, Group, Number};
        match (kind, value) {
            (Kind::String, Bytes(bytes)) => {
                put_string(std::str::from_utf8(bytes).map_err(|_| Unreadable::NOT_TEXT)?, out);
            }
            (Kind::Bytes, Bytes(bytes)) => {
                out.push(b'"');
                encode_base64(bytes, out);
                out.push(b'"');
            }
            (Kind::Bool, Number(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
            (Kind::Int32, Number(value)) => put_integer(value as i32, out),
            (Kind::Uint32, Number(value)) => put_integer(value as u32, out),
            (Kind::Sint32, Number(value)) => put_integer(from_zigzag(u64::from(value as u32)) as i32, out),
            (Kind::Fixed32, Fixed32(value)) => put_integer(value, out),
            (Kind::Sfixed32, Fixed32(value)) => put_integer(value as i32, out),
            // Numbers of 64 bits are strings: readers of JSON would round them.
            (Kind::Int64, Number(value)) => quoted(value as i64, out),
            (Kind::Uint64, Number(value)) => quoted(value, out),
            (Kind::Sint64, Number(value)) => quoted(from_zigzag(value), out),
            (Kind::Fixed64, Fixed64(value)) => quoted(value, out),
            (Kind::Sfixed64, Fixed64(value)) => quoted(value as i64, out),
            (Kind::Double, Fixed64(bits)) => put_float(f64::from_bits(bits), out),
            (Kind::Float, Fixed32(bits)) => put_float(f32::from_bits(bits), out),
            (Kind::Enum(index), Number(value)) => {
                let enumeration = self.messages.enumeration(index);
                let number = value as i32;
                match enumeration.names.get(&number).filter(|_| !self.rules.enum_numbers) {
                    _ if enumeration.is_null => out.extend_from_slice(b"null"),
                    Some(name) => out.extend_from_slice(name),
                    None => put_integer(number, out),
                }
            }
            (Kind::Message(index), Bytes(message)) | (Kind::Group(index), Group(message)) => {
                return self.message(index, message, depth, out);
            }
            _ => return Err(Malformed.into()),
        }
        Ok(())
    }

    fn default(&self, field: &Field, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        if let Some(declared) = field.default.as_deref().and_then(|default| Fields::of(default).next()) {
            return self.single(field.kind, declared?.1, 1, out);
        }
        let text: &[u8] = match (field.plurality, field.kind) {
            (Plurality::Many { .. }, _) => b"[]",
            (Plurality::Map, _) => b"{}",
            (_, Kind::String | Kind::Bytes) => b"\"\"",
            (_, Kind::Bool) => b"false",
            (_, Kind::Double | Kind::Float) => b"0.0",
            (_, Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64) => b"\"0\"",
            (_, Kind::Message(_) | Kind::Group(_)) => b"null",
            (_, Kind::Enum(index)) => {
                let enumeration = self.messages.enumeration(index);
                match enumeration.names.get(&0).filter(|_| !self.rules.enum_numbers) {
                    _ if enumeration.is_null => b"null",
                    Some(name) => name,
                    None => b"0",
                }
            }
            _ => b"0",
        };
        out.extend_from_slice(text);
        Ok(())
    }

    /// The fields of a message that its type has; of those that exclude each other, only the last.
    fn entries<'b>(&self, shape: &Shape, message: &'b [u8]) -> Result<Vec<Entry<'b>>, Unreadable> {
        let mut entries: Vec<Entry<'b>> = Vec::with_capacity(shape.fields.len().min(16));
        for field in Fields::of(message) {
            let (number, value) = field?;
            let Some(position) = shape.position_of(number) else { continue };
            let field = &shape.fields[position];
            // A field of another kind is one that this type does not know.
            if !fits(field, value) || !self.takes(field.kind, value) {
                continue;
            }
            if shape.has_oneofs && field.oneof.is_some() {
                entries.retain(|(other, _)| *other == position || shape.fields[*other].oneof != field.oneof);
            }
            entries.push((position, value));
        }
        Ok(entries)
    }

    /// A number that a closed enum does not have is a field that the type does not know.
    fn takes(&self, kind: Kind, value: protobuf::Field<'_>) -> bool {
        match (kind, value) {
            (Kind::Enum(index), protobuf::Field::Number(number)) => {
                self.messages.enumeration(index).takes(number as i32)
            }
            _ => true,
        }
    }

    fn has_untaken(&self, field: &Field, message: &[u8]) -> bool {
        let mut fields = Fields::of(message).map_while(Result::ok);
        fields.any(|(number, value)| number == field.number && !self.takes(field.kind, value))
    }
}

fn fits(field: &Field, value: protobuf::Field<'_>) -> bool {
    let wire = match value {
        protobuf::Field::Number(_) => protobuf::VARINT,
        protobuf::Field::Fixed64(_) => protobuf::FIXED64,
        protobuf::Field::Fixed32(_) => protobuf::FIXED32,
        protobuf::Field::Bytes(_) => protobuf::LENGTH,
        protobuf::Field::Group(_) => protobuf::GROUP,
    };
    let packed = wire == protobuf::LENGTH && matches!(field.plurality, Plurality::Many { .. });
    wire == super::text::wire(field.kind) || (packed && is_packable(field.kind))
}

fn is_packable(kind: Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
}

fn is_zero(value: protobuf::Field<'_>) -> bool {
    match value {
        protobuf::Field::Number(value) | protobuf::Field::Fixed64(value) => value == 0,
        protobuf::Field::Fixed32(value) => value == 0,
        protobuf::Field::Bytes(bytes) | protobuf::Field::Group(bytes) => bytes.is_empty(),
    }
}

fn content(value: protobuf::Field<'_>) -> Result<&[u8], Malformed> {
    match value {
        protobuf::Field::Bytes(bytes) | protobuf::Field::Group(bytes) => Ok(bytes),
        _ => Err(Malformed),
    }
}

fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn put_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn quoted(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.push(b'"');
    put_integer(value, out);
    out.push(b'"');
}

/// What JSON has no number for is a string.
pub(super) fn put_float<F: Copy + Into<f64> + serde::Serialize>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    let word: &[u8] = match () {
        () if wide.is_nan() => b"\"NaN\"",
        () if wide == f64::INFINITY => b"\"Infinity\"",
        () if wide == f64::NEG_INFINITY => b"\"-Infinity\"",
        () => {
            // A finite number can always be written.
            let _written = serde_json::to_writer(out, &value);
            return;
        }
    };
    out.extend_from_slice(word);
}

pub(super) fn put_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..at]);
        out.extend_from_slice(escape);
        if escape.is_empty() {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
        start = at + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}
