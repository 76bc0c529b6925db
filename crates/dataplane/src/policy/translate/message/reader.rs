//! JSON read as a message. What is wrong is told with its place: line, column and field.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::shape::{Field, Kind, Known, Messages, Plurality, Shape};
use super::text::{expected, put_number, put_value, wire};
use super::{nested, ReadRules};
use crate::protocol::json::{Fault, Reader};
use crate::protocol::protobuf::{put_key, put_varint, GROUP_END, LENGTH};

pub(super) const TWICE: &str = "is given twice";

/// What is wrong with a text, and where. Says nothing of the values that it holds.
#[derive(Debug)]
pub struct Wrong(Box<Place>);

#[derive(Debug, Default)]
struct Place {
    detail: String,
    /// Bytes before it; None: where the reader stands.
    at: Option<usize>,
    line: usize,
    column: usize,
    /// Innermost first.
    steps: Vec<String>,
}

impl Wrong {
    pub(super) fn new(detail: impl Into<String>, at: usize) -> Self {
        Self(Box::new(Place { detail: detail.into(), at: Some(at), ..Place::default() }))
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// From 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// From 1, in characters.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// Of the value within the text (RFC 6901).
    pub fn pointer(&self) -> String {
        self.0.steps.iter().rev().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    }

    pub(super) fn within(mut self, step: impl ToString) -> Self {
        self.0.steps.push(step.to_string());
        self
    }

    fn locate(mut self, text: &[u8], at: usize) -> Self {
        let at = self.0.at.unwrap_or(at).min(text.len());
        let before = &text[..at];
        self.0.line = memchr::memchr_iter(b'\n', before).count() + 1;
        let start = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
        self.0.column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        self
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        let (detail, at) = match fault {
            Fault::Malformed(at) => ("it is not JSON".to_owned(), Some(at)),
            other => (other.to_string(), None),
        };
        Self(Box::new(Place { detail, at, ..Place::default() }))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = self.pointer();
        let place = if pointer.is_empty() { String::new() } else { format!(" {pointer}") };
        write!(f, "line {}, column {}:{place} {}", self.0.line, self.0.column, self.0.detail)
    }
}

pub(super) struct Reading<'m> {
    pub(super) messages: &'m Messages,
    rules: ReadRules,
}

/// One value and nothing behind it.
pub(super) fn read(
    messages: &Messages,
    text: &[u8],
    rules: ReadRules,
    what: impl FnOnce(&Reading<'_>, &mut Reader<'_>, &mut Vec<u8>) -> Result<(), Wrong>,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let mut reader = Reader::new(text).map_err(|fault| Wrong::from(fault).locate(text, 0))?;
    let outcome = what(&Reading { messages, rules }, &mut reader, out);
    outcome.and_then(|()| Ok(reader.end()?)).map_err(|wrong| {
        // What ends too early is wrong where it ends.
        let at = if reader.peek().is_err() { text.len() } else { reader.at() };
        wrong.locate(text, at)
    })
}

impl Reading<'_> {
    /// What stands within a message, without a key or a length.
    pub(super) fn message(
        &self,
        index: usize,
        reader: &mut Reader<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let shape = self.messages.shape(index);
        match shape.known {
            Known::No => self.fields(shape, reader, depth, None, out),
            Known::Any => self.any(reader, depth, out),
            Known::Wrapper => match shape.fields.first() {
                Some(value) => self.field(value, reader, depth, out),
                None => Ok(()),
            },
            Known::Struct | Known::Value | Known::ListValue => self.structure(shape.known, reader, depth, out),
            Known::Timestamp | Known::Duration | Known::FieldMask => {
                let at = reader.at();
                let wrong = || Wrong::new(expected(self.messages, Kind::Message(index)), at);
                let text = self.text(reader)?.ok_or_else(wrong)?;
                super::well_known::put_text(shape.known, &text, out).then_some(()).ok_or_else(wrong)
            }
        }
    }

    /// The members of an object as fields. `except`: a member that is none of them.
    pub(super) fn fields(
        &self,
        shape: &Shape,
        reader: &mut Reader<'_>,
        depth: usize,
        except: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        if reader.peek()? != b'{' {
            return Err(Wrong::new("must be an object", reader.at()));
        }
        let mut seen = Seen::default();
        reader.object(depth, |reader, raw| {
            let name = unescape(raw, reader)?;
            if except == Some(&*name) {
                reader.skip(depth - 1)?;
                return Ok(());
            }
            let Some(position) = shape.position(&name) else {
                if self.rules.ignore_unknown {
                    reader.skip(depth - 1)?;
                    return Ok(());
                }
                let short: String = name.chars().take(100).collect();
                return Err(Wrong::new(format!("'{}' has no such field", shape.name), reader.at()).within(short));
            };
            let field = &shape.fields[position];
            if self.is_absent(field, reader)? {
                return Ok(());
            }
            let twice = match field.oneof {
                _ if !seen.fields.add(position) => Some(TWICE),
                Some(oneof) if !seen.oneofs.add(oneof) => Some("excludes another field that is given too"),
                _ => None,
            };
            if let Some(detail) = twice {
                return Err(Wrong::new(detail, reader.at()).within(&field.json_name));
            }
            self.field(field, reader, depth - 1, out).map_err(|wrong| wrong.within(&field.json_name))
        })
    }

    /// null is the same as nothing, except where it is a value.
    fn is_absent(&self, field: &Field, reader: &mut Reader<'_>) -> Result<bool, Wrong> {
        if reader.peek()? != b'n' {
            return Ok(false);
        }
        let is_value = matches!(field.plurality, Plurality::One { .. }) && self.takes_null(field.kind);
        if !is_value {
            reader.skip(1)?;
        }
        Ok(!is_value)
    }

    fn takes_null(&self, kind: Kind) -> bool {
        match kind {
            Kind::Message(index) => self.messages.shape(index).known == Known::Value,
            Kind::Enum(index) => self.messages.enumeration(index).is_null,
            _ => false,
        }
    }

    /// With its key.
    pub(super) fn field(
        &self,
        field: &Field,
        reader: &mut Reader<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        match field.plurality {
            Plurality::One { presence } => {
                let start = out.len();
                self.keyed(field.number, field.kind, reader, depth, out)?;
                // What cannot be absent is not sent where it has its default.
                if !presence && is_default(&out[start..], field) {
                    out.truncate(start);
                }
                Ok(())
            }
            Plurality::Many { packed } => {
                if reader.peek()? != b'[' {
                    return Err(Wrong::new("must be a list", reader.at()));
                }
                let start = out.len();
                let outcome = match packed {
                    true => nested(out, field.number, |out| {
                        self.items(reader, depth, |reader| self.value(field.kind, reader, depth - 1, out))
                    }),
                    false => {
                        self.items(reader, depth, |reader| self.keyed(field.number, field.kind, reader, depth - 1, out))
                    }
                };
                // An empty list is nothing.
                if packed && out.last() == Some(&0) && is_default(&out[start..], field) {
                    out.truncate(start);
                }
                outcome
            }
            Plurality::Map => self.map(field, reader, depth, out),
        }
    }

    fn items(
        &self,
        reader: &mut Reader<'_>,
        depth: usize,
        mut each: impl FnMut(&mut Reader<'_>) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        let mut index = 0usize;
        reader.array(depth, |reader| {
            let outcome = each(reader).map_err(|wrong| wrong.within(index));
            index += 1;
            outcome
        })
    }

    fn map(&self, field: &Field, reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        if reader.peek()? != b'{' {
            return Err(Wrong::new("must be an object", reader.at()));
        }
        let Kind::Message(entry) = field.kind else { return Ok(()) };
        let [key, value] = &*self.messages.shape(entry).fields else { return Ok(()) };
        // As they are sent: a number may be written in several ways.
        let mut keys = HashSet::new();
        reader.object(depth, |reader, raw| {
            let name = unescape(raw, reader)?;
            let before = out.len();
            let at = reader.at();
            let outcome = nested(out, field.number, |out| {
                let start = out.len();
                put_key(out, key.number, wire(key.kind));
                if !put_value(self.messages, key.kind, &name, out) {
                    let detail = format!("its name {}", expected(self.messages, key.kind));
                    return Err(Wrong::new(detail, at));
                }
                if !keys.insert(out[start..].to_vec()) {
                    return Err(Wrong::new(TWICE, at));
                }
                let has_value = self.value_of_entry(value, reader, depth - 1, out)?;
                has_value.then_some(()).ok_or_else(|| Wrong::new("", at))
            });
            match outcome {
                // A name that its enum does not have, where such are passed over: the entry is.
                Err(wrong) if wrong.0.detail.is_empty() => {
                    out.truncate(before);
                    Ok(())
                }
                outcome => outcome.map_err(|wrong| wrong.within(name.chars().take(100).collect::<String>())),
            }
        })
    }

    fn value_of_entry(
        &self,
        value: &Field,
        reader: &mut Reader<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool, Wrong> {
        let start = out.len();
        self.keyed(value.number, value.kind, reader, depth, out)?;
        Ok(out.len() > start)
    }

    /// One value with its key; nothing where it is a name that its enum does not have, and such are passed over.
    fn keyed(
        &self,
        number: u32,
        kind: Kind,
        reader: &mut Reader<'_>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        match kind {
            Kind::Message(index) => nested(out, number, |out| self.message(index, reader, depth, out)),
            Kind::Group(index) => {
                put_key(out, number, wire(kind));
                self.message(index, reader, depth, out)?;
                put_key(out, number, GROUP_END);
                Ok(())
            }
            _ => {
                let start = out.len();
                put_key(out, number, wire(kind));
                let after_key = out.len();
                self.value(kind, reader, depth, out)?;
                if out.len() == after_key {
                    out.truncate(start);
                }
                Ok(())
            }
        }
    }

    /// A scalar without its key.
    fn value(&self, kind: Kind, reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let at = reader.at();
        let wrong = || Wrong::new(expected(self.messages, kind), at);
        match reader.peek()? {
            b'"' => {
                let raw = reader.string()?;
                let text = unescape(raw, reader)?;
                match kind {
                    Kind::Bool => Err(wrong()),
                    Kind::Enum(index) => match self.messages.enumeration(index).numbers.get(&*text) {
                        Some(number) => {
                            put_varint(out, i64::from(*number) as u64);
                            Ok(())
                        }
                        None if self.rules.ignore_unknown => Ok(()),
                        None => Err(wrong()),
                    },
                    _ => put_value(self.messages, kind, &text, out).then_some(()).ok_or_else(wrong),
                }
            }
            b't' | b'f' if kind == Kind::Bool => {
                let word = reader.skip(depth.max(1))?;
                out.push(u8::from(word == b"true"));
                Ok(())
            }
            b'n' if self.takes_null(kind) => {
                reader.skip(1)?;
                out.push(0);
                Ok(())
            }
            b'-' | b'0'..=b'9' => {
                let text = reader.skip(1)?;
                let text = std::str::from_utf8(text).map_err(|_| Wrong::from(Fault::NotText))?;
                put_number(self.messages, kind, text, out).then_some(()).ok_or_else(wrong)
            }
            // It may be no JSON at all, which is said first.
            _ => {
                reader.skip(depth.max(1))?;
                Err(wrong())
            }
        }
    }

    /// A string; None: it is something else.
    pub(super) fn text<'t>(&self, reader: &mut Reader<'t>) -> Result<Option<Cow<'t, str>>, Wrong> {
        if reader.peek()? != b'"' {
            reader.clone().skip(super::DEPTH)?;
            return Ok(None);
        }
        let raw = reader.string()?;
        unescape(raw, reader).map(Some)
    }
}

/// A field with its key alone, and nothing but zeros behind that: a number or a length of 0.
fn is_default(written: &[u8], field: &Field) -> bool {
    let key_bytes = match field.number {
        ..16 => 1,
        16..2048 => 2,
        2048..262_144 => 3,
        262_144..33_554_432 => 4,
        _ => 5,
    };
    // The content of a length that is 0 is empty; what has a length that is not begins with that.
    let value = written.get(key_bytes..).unwrap_or_default();
    match wire(field.kind) {
        LENGTH => value == [0],
        _ if matches!(field.plurality, Plurality::Many { .. }) => value == [0],
        _ => value.iter().all(|byte| *byte == 0),
    }
}

/// The text that a string of JSON is.
pub(super) fn unescape<'t>(raw: &'t [u8], reader: &Reader<'_>) -> Result<Cow<'t, str>, Wrong> {
    let not_text = |_| Wrong::new("it is not JSON: a string is not text", reader.at());
    let inner = raw.get(1..raw.len() - 1).unwrap_or_default();
    if !inner.contains(&b'\\') {
        return std::str::from_utf8(inner).map(Cow::Borrowed).map_err(|_| Fault::NotText.into());
    }
    serde_json::from_slice(raw).map(Cow::Owned).map_err(not_text)
}

#[derive(Default)]
struct Seen {
    fields: Positions,
    oneofs: Positions,
}

/// Most types have few fields.
#[derive(Default)]
struct Positions {
    first: u128,
    others: Vec<usize>,
}

impl Positions {
    /// False: it was there.
    fn add(&mut self, position: usize) -> bool {
        if position < 128 {
            let bit = 1 << position;
            let new = self.first & bit == 0;
            self.first |= bit;
            return new;
        }
        let new = !self.others.contains(&position);
        if new {
            self.others.push(position);
        }
        new
    }
}
