//! Values that stand in text: in a path, in a query, in a string of JSON.

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;

use super::number;
use super::shape::{Field, Kind, Known, Messages, Plurality};
use super::{nested, well_known};
use crate::protocol::protobuf::{put_key, put_varint, FIXED32, FIXED64, GROUP, LENGTH, VARINT};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Of the wire: what stands behind a field's number.
pub(super) fn wire(kind: Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => FIXED64,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => FIXED32,
        Kind::String | Kind::Bytes | Kind::Message(_) => LENGTH,
        Kind::Group(_) => GROUP,
        _ => VARINT,
    }
}

/// What a value of this kind should have been.
pub(super) fn expected(messages: &Messages, kind: Kind) -> &'static str {
    match kind {
        Kind::Double | Kind::Float => "must be a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "must be a whole number of 32 bits",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "must be a whole number of 64 bits",
        Kind::Uint32 | Kind::Fixed32 => "must be a whole number of 32 bits that is not negative",
        Kind::Uint64 | Kind::Fixed64 => "must be a whole number of 64 bits that is not negative",
        Kind::Bool => "must be true or false",
        Kind::String => "must be a string",
        Kind::Bytes => "must be a string of base64",
        Kind::Enum(_) => "must be one of the names or numbers of its enum",
        Kind::Message(index) | Kind::Group(index) => match messages.shape(index).known {
            Known::Timestamp => "must be a time such as 2006-01-02T15:04:05Z",
            Known::Duration => "must be a duration such as 1.5s",
            Known::FieldMask => "must be names of fields such as a,b.c",
            Known::ListValue => "must be a list",
            Known::Wrapper => {
                messages.shape(index).fields.first().map_or("must be a value", |field| expected(messages, field.kind))
            }
            Known::No | Known::Any | Known::Struct | Known::Value => "must be an object",
        },
    }
}

/// Writes a value without its key. False: it is not of this kind.
pub(super) fn put_value(messages: &Messages, kind: Kind, text: &str, out: &mut Vec<u8>) -> bool {
    match kind {
        Kind::String => {
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
            true
        }
        Kind::Bytes => {
            let Some(bytes) = decode_base64(text) else { return false };
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(&bytes);
            true
        }
        Kind::Bool => match text {
            "true" | "false" => {
                out.push(u8::from(text == "true"));
                true
            }
            _ => false,
        },
        Kind::Enum(index) => match messages.enumeration(index).numbers.get(text) {
            Some(number) => {
                put_varint(out, i64::from(*number) as u64);
                true
            }
            None => put_number(messages, kind, text, out),
        },
        Kind::Message(_) | Kind::Group(_) => false,
        _ => number::put(kind, text, out),
    }
}

/// The same for a number. That of an enum is one that the enum takes.
pub(super) fn put_number(messages: &Messages, kind: Kind, text: &str, out: &mut Vec<u8>) -> bool {
    let Kind::Enum(index) = kind else { return number::put(kind, text, out) };
    let number = number::int32(text).filter(|number| messages.enumeration(index).takes(*number));
    if let Some(number) = number {
        put_varint(out, i64::from(number) as u64);
    }
    number.is_some()
}

/// Whether a field's value can stand in text.
pub(super) fn is_textual(messages: &Messages, field: &Field) -> bool {
    let kind = match field.kind {
        Kind::Message(index) => matches!(
            messages.shape(index).known,
            Known::Timestamp | Known::Duration | Known::FieldMask | Known::Wrapper
        ),
        Kind::Group(_) => false,
        _ => true,
    };
    kind && field.plurality != Plurality::Map
}

/// Writes a field with its key; one value of several where it is repeated. False: it is not of its kind.
pub(super) fn put_field(messages: &Messages, field: &Field, text: &str, out: &mut Vec<u8>) -> bool {
    match field.kind {
        Kind::Message(index) => {
            let known = messages.shape(index).known;
            nested(out, field.number, |out| match known {
                Known::Wrapper => match messages.shape(index).fields.first() {
                    Some(value) if put_field(messages, value, text, out) => Ok(()),
                    _ => Err(()),
                },
                known => well_known::put_text(known, text, out).then_some(()).ok_or(()),
            })
            .is_ok()
        }
        kind => {
            put_key(out, field.number, wire(kind));
            put_value(messages, kind, text, out)
        }
    }
}

/// Both alphabets, with padding or without.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    match text.contains(['-', '_']) {
        false => BASE64.decode(text).ok(),
        true => BASE64.decode(text.replace('-', "+").replace('_', "/")).ok(),
    }
}

pub(super) fn encode_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // There is room for all of it.
    let written = BASE64.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}
