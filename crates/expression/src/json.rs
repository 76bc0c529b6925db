//! Values as JSON text and back (RFC 8259).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::value::{Array, Number, Object, Value};

/// One value with nothing after it. The message says where it is malformed. Integers beyond 64 bits become floats, and
/// more than 127 levels are refused.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Compact. What JSON cannot say (infinity, not a number) is null, as in jq.
pub fn write(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    append(&mut text, value, usize::MAX);
    text
}

/// As much of it as says what it is: stops soon after so many bytes.
pub(crate) fn write_some(value: &Value, bytes: usize) -> Vec<u8> {
    let mut text = Vec::new();
    append(&mut text, value, bytes);
    text
}

fn append(text: &mut Vec<u8>, value: &Value, enough: usize) {
    match value {
        Value::Null => text.extend_from_slice(b"null"),
        Value::Bool(true) => text.extend_from_slice(b"true"),
        Value::Bool(false) => text.extend_from_slice(b"false"),
        Value::Number(Number::Int(integer)) => text.extend_from_slice(integer.to_string().as_bytes()),
        Value::Number(Number::Float(float)) => {
            // An integral float is written as an integer, as jq does.
            let number = match *float {
                float if float.fract() == 0.0 && float.abs() < 1e17 => serde_json::Value::from(float as i64),
                float => serde_json::Value::from(float),
            };
            text.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Number(number) => text.extend_from_slice(number.to_string().as_bytes()),
        Value::String(string) => append_string(text, string, enough),
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                append(text, item, enough);
                if text.len() > enough {
                    return;
                }
            }
            text.push(b']');
        }
        Value::Object(map) => {
            text.push(b'{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                append_string(text, key, enough);
                text.push(b':');
                append(text, item, enough);
                if text.len() > enough {
                    return;
                }
            }
            text.push(b'}');
        }
    }
}

fn append_string(text: &mut Vec<u8>, string: &str, enough: usize) {
    let cut = string.char_indices().map(|(index, _)| index).find(|index| *index > enough);
    let string = cut.map_or(string, |cut| &string[..cut]);
    text.push(b'"');
    let mut plain = 0;
    for (index, byte) in string.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f | 0x7f => "",
            _ => continue,
        };
        text.extend_from_slice(&string.as_bytes()[plain..index]);
        plain = index + 1;
        if escape.is_empty() {
            text.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            text.extend_from_slice(escape.as_bytes());
        }
    }
    text.extend_from_slice(&string.as_bytes()[plain..]);
    text.push(b'"');
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::from_integral(integer)))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::Number(Number::from_integral(integer)))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Number(Number::Float(float)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Array::default();
        while let Some(item) = items.next_element()? {
            array.push(item).map_err(A::Error::custom)?;
        }
        Ok(Value::Array(array.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Object::default();
        while let Some((key, item)) = entries.next_entry::<String, Value>()? {
            object.insert(key.into(), item).map_err(A::Error::custom)?;
        }
        Ok(Value::Object(object.into()))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}
