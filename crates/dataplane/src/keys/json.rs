//! JSON of headers, claims and keys, read strictly: a member given twice, too deep a nesting and anything after the
//! value are errors (RFC 7515 §4, RFC 8725 §3.12), so that nobody else reads another value out of the same text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStrict;

/// `depth`: how deep arrays and objects may lie in one another; 1 is an object of plain values.
pub fn parse(text: &[u8], depth: usize) -> Result<Value, NotStrict> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth }.deserialize(&mut reader).map_err(|_| NotStrict)?;
    reader.end().map_err(|_| NotStrict)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn within<E: Error>(self) -> Result<Self, E> {
        self.depth.checked_sub(1).map(|depth| Self { depth }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(within)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(within)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is given twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,3.5,"é",true,null,{"b":{}}],"c":"\u0041"}"#;
        assert_eq!(parse(text.as_bytes(), 4), Ok(serde_json::from_str(text).unwrap()));
    }

    #[test]
    fn members_given_twice_deep_nesting_and_rests_are_errors() {
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"[[[[1]]]]"#,
            r#"{"a":{"a":{"a":{}}}}"#,
            r#"{} {}"#,
            r#"{}x"#,
            "{}\0",
            "",
            "{",
            r#"{"a":1e999}"#,
            r#"{"a":NaN}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(parse(wrong.as_bytes(), 3), Err(NotStrict), "{wrong}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}", 3), Err(NotStrict));
        assert!(parse("[".repeat(100_000).as_bytes(), 16).is_err());
    }
}
