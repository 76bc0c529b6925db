//! `application/x-www-form-urlencoded` (WHATWG URL §5) as a value, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::{percent_decode_str, utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use stagedoor_expression::Value;

/// Of one form.
pub const FIELDS: usize = 1000;

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b' ');

/// Strings by name; a name that stands more than once has a list.
pub fn read(text: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut fields: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= FIELDS {
            return Err(format!("it has more than {FIELDS} fields"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value): (Arc<str>, Value) = (decoded(name)?.into(), Value::string(decoded(value)?));
        match fields.get_mut(&name) {
            Some(values) => values.push(value),
            None => {
                fields.insert(name.clone(), vec![value]);
                names.push(name);
            }
        }
    }
    let mut members = Vec::with_capacity(names.len());
    for name in names {
        let mut values = fields.remove(&name).unwrap_or_default();
        let value = match values.len() {
            1 => values.remove(0),
            _ => Value::array(values).map_err(|error| error.to_string())?,
        };
        members.push((name, value));
    }
    Value::object(members).map_err(|error| error.to_string())
}

fn decoded(text: &str) -> Result<String, String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(decoded.into_owned())
}

/// Lists are repeated, null is left out.
pub fn write(value: &Value) -> Result<String, String> {
    let Value::Object(members) = value else { return Err("only an object can be a form".to_owned()) };
    let mut text = String::new();
    for (name, value) in members.iter() {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().try_for_each(|item| put(&mut text, name, item))?,
            value => put(&mut text, name, value)?,
        }
    }
    Ok(text)
}

fn put(text: &mut String, name: &str, value: &Value) -> Result<(), String> {
    if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
        return Err("a field of a form is text, a number or a truth value".to_owned());
    }
    if !text.is_empty() {
        text.push('&');
    }
    let escaped = |part: &str| utf8_percent_encode(part, ESCAPED).to_string().replace(' ', "+");
    text.push_str(&escaped(name));
    text.push('=');
    text.push_str(&escaped(&value.to_text()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use stagedoor_expression::json;

    use super::*;

    #[test]
    fn forms_and_values_say_the_same() {
        for (form, json) in [
            ("a=1&b=x+y%26z&a=2&c", r#"{"a":["1","2"],"b":"x y&z","c":""}"#),
            ("", "{}"),
            ("%C3%A9=%2B", r#"{"é":"+"}"#),
        ] {
            let value = read(form.as_bytes()).expect("a form");
            assert_eq!(String::from_utf8(json::write(&value)).expect("text"), json);
            assert_eq!(
                read(write(&value).expect("written").as_bytes()).map(|value| json::write(&value)),
                Ok(json.into())
            );
        }
        assert!(read(b"a=%ff").is_err());
        assert!(read("a&".repeat(FIELDS + 1).as_bytes()).is_err());
        let nested = json::parse(br#"{"a":{"b":1}}"#).expect("JSON");
        assert!(write(&nested).is_err());
        let scalars = json::parse(br#"{"a":1.5,"b":true,"c":null,"d":["x",2]}"#).expect("JSON");
        assert_eq!(write(&scalars).as_deref(), Ok("a=1.5&b=true&d=x&d=2"));
    }
}
