//! Messages of Protocol Buffers and their JSON (protobuf.dev, "ProtoJSON Format"), from one to the other without a tree in
//! between: every type is a table made once from its descriptor, and what is read of one form is written as the other.

mod any;
mod field;
mod number;
mod reader;
mod shape;
mod text;
mod time;
mod well_known;
mod writer;

use std::sync::Arc;

pub use field::{FieldPath, Leaf};
pub use reader::Wrong;
pub use shape::{Field, Kind, Known, Messages, Plurality, Shape};
pub use writer::Unreadable;

use crate::protocol::protobuf::{put_varint, VARINT};

/// Values within each other, in either form.
pub const DEPTH: usize = crate::protocol::json::DEPTH;

/// What is done about members of JSON that a message has no field for, and names that an enum has no value for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReadRules {
    /// They are passed over. Otherwise they are an error.
    pub ignore_unknown: bool,
}

/// How JSON is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteRules {
    /// Fields that cannot be absent are written also where they have their default.
    pub defaults: bool,
    /// Values of enums are numbers.
    pub enum_numbers: bool,
    /// Names are those of the `.proto` file, in place of lowerCamelCase or `json_name`.
    pub original_names: bool,
    /// An `Any` of a type that is not known is written as base64. Otherwise it is an error.
    pub unknown_any: bool,
}

/// One type of message among all that its own may refer to.
#[derive(Clone)]
pub struct MessageType {
    messages: Arc<Messages>,
    index: usize,
}

impl MessageType {
    /// By its full name, without a dot before it.
    pub fn find(messages: &Arc<Messages>, name: &str) -> Option<Self> {
        Some(Self { index: messages.index(name)?, messages: messages.clone() })
    }

    pub fn name(&self) -> &str {
        &self.shape().name
    }

    pub fn shape(&self) -> &Shape {
        self.messages.shape(self.index)
    }

    pub fn messages(&self) -> &Arc<Messages> {
        &self.messages
    }

    /// `google.api.HttpBody`: content of any kind.
    pub fn is_http_body(&self) -> bool {
        self.name() == "google.api.HttpBody"
    }

    /// The message that a text of JSON is, behind what `out` holds.
    pub fn read_json(&self, text: &[u8], rules: ReadRules, out: &mut Vec<u8>) -> Result<(), Wrong> {
        reader::read(
            &self.messages,
            text,
            rules,
            |reading, reader, out| reading.message(self.index, reader, DEPTH, out),
            out,
        )
    }

    /// The value of one field as JSON, behind what `out` holds.
    pub fn read_json_field(
        &self,
        path: &FieldPath,
        text: &[u8],
        rules: ReadRules,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        path.within(&self.messages, out, |out, leaf| {
            let field = leaf.field;
            reader::read(
                &self.messages,
                text,
                rules,
                |reading, reader, out| reading.field(field, reader, DEPTH, out),
                out,
            )
        })
    }

    /// The value of one of the message's own fields as JSON, behind what `out` holds.
    pub fn read_json_member(
        &self,
        field: usize,
        text: &[u8],
        rules: ReadRules,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let Some(field) = self.shape().fields.get(field) else { return Ok(()) };
        let what = |reading: &reader::Reading<'_>,
                    reader: &mut crate::protocol::json::Reader<'_>,
                    out: &mut Vec<u8>| { reading.field(field, reader, DEPTH, out) };
        reader::read(&self.messages, text, rules, what, out)
    }

    /// The JSON of a message, behind what `out` holds.
    pub fn write_json(&self, message: &[u8], rules: WriteRules, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        writer::Writing { messages: &self.messages, rules }.message(self.index, message, DEPTH, out)
    }

    /// The JSON of one of a message's fields, its default where it is absent.
    pub fn write_json_field(
        &self,
        field: usize,
        message: &[u8],
        rules: WriteRules,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        writer::Writing { messages: &self.messages, rules }.one_field(self.index, field, message, out)
    }
}

/// A key, then what `write` writes with its length before it.
fn nested<E>(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    crate::protocol::protobuf::put_key(out, number, crate::protocol::protobuf::LENGTH);
    let start = out.len();
    // Most lengths have one byte; room for more is made where it is needed.
    out.push(0);
    write(out)?;
    let length = out.len() - start - 1;
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out[start] = short,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            put_varint(&mut prefix, length as u64);
            out.splice(start..=start, prefix);
        }
    }
    Ok(())
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    crate::protocol::protobuf::put_key(out, number, VARINT);
    put_varint(out, value);
}
