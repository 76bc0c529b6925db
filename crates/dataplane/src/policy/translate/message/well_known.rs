//! Types that have JSON of their own: times, masks and structures.

use std::borrow::Cow;
use std::collections::HashSet;

use super::reader::{unescape, Reading, Wrong, TWICE};
use super::shape::Known;
use super::writer::{put_string, Unreadable};
use super::{nested, put_number, time};
use crate::protocol::json::Reader;
use crate::protocol::protobuf::{put_key, put_varint, Field, Fields, FIXED64, LENGTH};

/// Writes what stands within a time, a duration or a mask. False: the text is none.
pub(super) fn put_text(known: Known, text: &str, out: &mut Vec<u8>) -> bool {
    let time = match known {
        Known::Timestamp => time::read_timestamp(text),
        Known::Duration => time::read_duration(text),
        Known::FieldMask => return put_mask(text, out),
        _ => None,
    };
    let Some((seconds, nanos)) = time else { return false };
    if seconds != 0 {
        put_number(out, 1, seconds as u64);
    }
    if nanos != 0 {
        put_number(out, 2, i64::from(nanos) as u64);
    }
    true
}

/// Names in lowerCamelCase with commas in between; in the message each is in snake_case.
fn put_mask(text: &str, out: &mut Vec<u8>) -> bool {
    for path in text.split(',').filter(|_| !text.is_empty()) {
        // `*` stands for all fields (AIP-134), or all items (AIP-161).
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'*');
        if path.is_empty() || !path.bytes().all(allowed) {
            return false;
        }
        let mut snake = String::with_capacity(path.len() + 4);
        for character in path.chars() {
            if character.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(character.to_ascii_lowercase());
        }
        put_key(out, 1, LENGTH);
        put_varint(out, snake.len() as u64);
        out.extend_from_slice(snake.as_bytes());
    }
    true
}

impl Reading<'_> {
    /// What stands within a `Struct`, a `Value` or a `ListValue`.
    pub(super) fn structure(
        &self,
        known: Known,
        reader: &mut Reader<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let first = reader.peek()?;
        match (known, first) {
            (Known::Struct, b'{') => self.members(reader, depth, out),
            (Known::ListValue, b'[') => {
                reader.array(depth, |reader| nested(out, 1, |out| self.structure(Known::Value, reader, depth - 1, out)))
            }
            (Known::Value, b'{') => nested(out, 5, |out| self.structure(Known::Struct, reader, depth, out)),
            (Known::Value, b'[') => nested(out, 6, |out| self.structure(Known::ListValue, reader, depth, out)),
            (Known::Value, b'"') => {
                let text = self.text(reader)?.unwrap_or(Cow::Borrowed(""));
                put_bytes(out, 3, text.as_bytes());
                Ok(())
            }
            (Known::Value, _) => self.plain(reader, out),
            (Known::Struct, _) => Err(Wrong::new("must be an object", reader.at())),
            (_, _) => Err(Wrong::new("must be a list", reader.at())),
        }
    }

    fn members(&self, reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let mut names = HashSet::new();
        reader.object(depth, |reader, raw| {
            let name = unescape(raw, reader)?;
            let step = || name.chars().take(100).collect::<String>();
            if !names.insert(name.clone()) {
                return Err(Wrong::new(TWICE, reader.at()).within(step()));
            }
            nested(out, 1, |out| {
                put_bytes(out, 1, name.as_bytes());
                nested(out, 2, |out| self.structure(Known::Value, reader, depth - 1, out))
            })
            .map_err(|wrong| wrong.within(step()))
        })
    }

    /// A number, a word or null.
    fn plain(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let at = reader.at();
        match reader.skip(1)? {
            b"null" => put_number(out, 1, 0),
            word @ (b"true" | b"false") => put_number(out, 4, u64::from(word == b"true")),
            number => {
                let value: Option<f64> = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
                let value = value.filter(|value| value.is_finite());
                let value = value.ok_or_else(|| Wrong::new("must be a number of 64 bits", at))?;
                put_key(out, 2, FIXED64);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// Also where it is empty.
fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, LENGTH);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The JSON of a time, a duration or a mask.
pub(super) fn write_text(known: Known, message: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let (mut seconds, mut nanos, mut text) = (0i64, 0i64, String::new());
    for field in Fields::of(message) {
        match field? {
            (1, Field::Number(value)) => seconds = value as i64,
            (2, Field::Number(value)) => nanos = i64::from(value as i32),
            (1, Field::Bytes(path)) if known == Known::FieldMask => {
                if !text.is_empty() {
                    text.push(',');
                }
                camel(std::str::from_utf8(path).map_err(|_| Unreadable::NOT_TEXT)?, &mut text)?;
            }
            _ => {}
        }
    }
    let range = match known {
        Known::Timestamp => time::write_timestamp(seconds, nanos, &mut text),
        Known::Duration => time::write_duration(seconds, nanos, &mut text),
        _ => Some(()),
    };
    range.ok_or(Unreadable("a time is out of its range"))?;
    put_string(&text, out);
    Ok(())
}

/// Errors: a name that would not come back as it was.
fn camel(path: &str, out: &mut String) -> Result<(), Unreadable> {
    let mut after_underscore = false;
    for character in path.chars() {
        match character {
            '_' if !after_underscore => after_underscore = true,
            'a'..='z' if after_underscore => {
                out.push(character.to_ascii_uppercase());
                after_underscore = false;
            }
            'A'..='Z' | '_' => return Err(Unreadable("a mask has a name that JSON cannot have")),
            _ if after_underscore => return Err(Unreadable("a mask has a name that JSON cannot have")),
            _ => out.push(character),
        }
    }
    match after_underscore {
        true => Err(Unreadable("a mask has a name that JSON cannot have")),
        false => Ok(()),
    }
}

/// The JSON of a `Struct`, a `Value` or a `ListValue`.
pub(super) fn write_structure(known: Known, message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    if depth == 0 {
        return Err(Unreadable::DEEP);
    }
    match known {
        Known::Struct => write_object(message, depth, out),
        Known::ListValue => {
            out.push(b'[');
            let mut first = true;
            for field in Fields::of(message) {
                if let (1, Field::Bytes(value)) = field? {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    write_structure(Known::Value, value, depth - 1, out)?;
                }
            }
            out.push(b']');
            Ok(())
        }
        _ => write_value(message, depth, out),
    }
}

fn write_object(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut members: Vec<(&str, &[u8])> = Vec::new();
    for field in Fields::of(message) {
        let (1, Field::Bytes(entry)) = field? else { continue };
        let (mut name, mut value) = ("", &b""[..]);
        for field in Fields::of(entry) {
            match field? {
                (1, field @ Field::Bytes(_)) => name = field.text().map_err(|_| Unreadable::NOT_TEXT)?,
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        members.push((name, value));
    }
    out.push(b'{');
    for (index, (name, value)) in members.iter().enumerate() {
        // Of two entries of one name the last counts.
        if members[index + 1..].iter().any(|(later, _)| later == name) {
            continue;
        }
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        put_string(name, out);
        out.push(b':');
        write_structure(Known::Value, value, depth - 1, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut last = None;
    for field in Fields::of(message) {
        let field = field?;
        if (1..=6).contains(&field.0) {
            last = Some(field);
        }
    }
    match last {
        Some((2, Field::Fixed64(bits))) if f64::from_bits(bits).is_finite() => {
            super::writer::put_float(f64::from_bits(bits), out);
        }
        Some((2, Field::Fixed64(_))) => return Err(Unreadable("a value is a number that JSON does not have")),
        Some((3, field @ Field::Bytes(_))) => put_string(field.text().map_err(|_| Unreadable::NOT_TEXT)?, out),
        Some((4, Field::Number(value))) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        Some((5, Field::Bytes(message))) => write_structure(Known::Struct, message, depth, out)?,
        Some((6, Field::Bytes(message))) => write_structure(Known::ListValue, message, depth, out)?,
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}
