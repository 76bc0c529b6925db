//! `google.protobuf.Any`: a message with the name of its type.

use std::borrow::Cow;

use super::nested;
use super::reader::{unescape, Reading, Wrong, TWICE};
use super::shape::Known;
use super::text::encode_base64;
use super::writer::{put_string, Unreadable, Writing};
use crate::protocol::json::Reader;
use crate::protocol::protobuf::{put_key, put_varint, Field, Fields, LENGTH};

const TYPE: &str = "@type";

/// What follows the last slash of a type's URL.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

impl Reading<'_> {
    pub(super) fn any(&self, reader: &mut Reader<'_>, depth: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let at = reader.at();
        if reader.peek()? != b'{' {
            return Err(Wrong::new("must be an object", at));
        }
        // The type may stand behind what it is the type of.
        let mut url = None;
        let mut members = 0usize;
        reader.clone().object(depth, |reader, raw| {
            members += 1;
            match &*unescape(raw, reader)? {
                TYPE if url.is_some() => return Err(Wrong::new(TWICE, reader.at()).within(TYPE)),
                TYPE => url = self.text(reader)?.map(Cow::into_owned),
                _ => {
                    reader.skip(depth - 1)?;
                }
            }
            Ok::<_, Wrong>(())
        })?;
        let Some(url) = url else {
            return match members {
                0 => reader.skip(depth).map(|_| ()).map_err(Wrong::from),
                _ => Err(Wrong::new("needs the member '@type', the name of a type", at)),
            };
        };
        let index = self.messages.index(name(&url)).filter(|_| url.contains('/'));
        let index = index.ok_or_else(|| Wrong::new("its '@type' is not a type that is known here", at))?;
        put_key(out, 1, LENGTH);
        put_varint(out, url.len() as u64);
        out.extend_from_slice(url.as_bytes());
        let shape = self.messages.shape(index);
        let mut values = 0usize;
        nested(out, 2, |out| match shape.known {
            Known::No => self.fields(shape, reader, depth, Some(TYPE), out),
            _ => reader.object(depth, |reader, raw| match &*unescape(raw, reader)? {
                TYPE => reader.skip(depth - 1).map(|_| ()).map_err(Wrong::from),
                "value" if values > 0 => Err(Wrong::new(TWICE, reader.at()).within("value")),
                "value" => {
                    values += 1;
                    self.message(index, reader, depth - 1, out)
                }
                _ => Err(Wrong::new("has the members '@type' and 'value' alone", reader.at())),
            }),
        })
    }
}

impl Writing<'_> {
    pub(super) fn any(&self, message: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let (mut url, mut value) = ("", &b""[..]);
        for field in Fields::of(message) {
            match field? {
                (1, field @ Field::Bytes(_)) => url = field.text().map_err(|_| Unreadable::NOT_TEXT)?,
                (2, Field::Bytes(bytes)) => value = bytes,
                _ => {}
            }
        }
        if url.is_empty() && value.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        out.extend_from_slice(b"{\"@type\":");
        put_string(url, out);
        match self.messages.index(name(url)) {
            Some(index) if self.messages.shape(index).known == Known::No => {
                let start = out.len();
                self.message(index, value, depth.saturating_sub(1), out)?;
                // The object that was written goes on in the one that holds the type.
                match &out[start..] {
                    b"{}" => drop(out.remove(start)),
                    _ => out[start] = b',',
                }
                return Ok(());
            }
            Some(index) => {
                out.extend_from_slice(b",\"value\":");
                self.message(index, value, depth.saturating_sub(1), out)?;
            }
            None if self.rules.unknown_any => {
                out.extend_from_slice(b",\"value\":\"");
                encode_base64(value, out);
                out.push(b'"');
            }
            None => return Err(Unreadable("it holds a message of a type that is not known")),
        }
        out.push(b'}');
        Ok(())
    }
}
