//! Values as JSON text and back.

use crate::Value;

/// One value with nothing after it. The message says where it is malformed; deeper than 127 is malformed too.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Compact. What JSON cannot say (infinity, not a number) becomes null, as in jq.
pub fn write(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    append(&mut text, value);
    text
}

fn append(text: &mut Vec<u8>, value: &Value) {
    let mut plain = |written: String| text.extend_from_slice(written.as_bytes());
    match value {
        Value::Num(crate::Num::Float(float)) if !float.is_finite() => plain("null".into()),
        Value::Null | Value::Bool(_) | Value::Num(_) => plain(value.to_string()),
        Value::TStr(string) | Value::BStr(string) => {
            let string = String::from_utf8_lossy(string);
            plain(serde_json::Value::from(string.as_ref()).to_string());
        }
        Value::Arr(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                append(text, item);
            }
            text.push(b']');
        }
        Value::Obj(map) => {
            text.push(b'{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                append(text, key);
                text.push(b':');
                append(text, item);
            }
            text.push(b'}');
        }
    }
}

pub fn string(text: impl AsRef<str>) -> Value {
    Value::utf8_str(text.as_ref().as_bytes().to_vec())
}

pub fn object<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::obj(entries.into_iter().map(|(key, value)| (string(key), value)).collect())
}

pub fn array(items: impl IntoIterator<Item = Value>) -> Value {
    items.into_iter().collect()
}

/// A string as it is, anything else as JSON.
pub fn text(value: &Value) -> String {
    match value {
        Value::TStr(string) | Value::BStr(string) => String::from_utf8_lossy(string).into_owned(),
        other => String::from_utf8_lossy(&write(other)).into_owned(),
    }
}

/// The value of a key of an object.
pub fn get<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Obj(map) => map.get(&string(key)),
        _ => None,
    }
}

pub fn as_integer(value: &Value) -> Option<i64> {
    match value {
        Value::Num(number) => number.as_isize().map(|integer| integer as i64),
        _ => None,
    }
}
