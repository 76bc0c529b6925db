//! A description as the control plane hands it over: one JSON document whose references all stay within it.

use percent_encoding::percent_decode_str;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAPI 3.0: an own dialect of JSON Schema.
    OpenApi30,
    /// OpenAPI 3.1: JSON Schema 2020-12.
    OpenApi31,
}

pub struct Document<'a> {
    pub root: &'a Value,
    pub dialect: Dialect,
}

/// References to references; more is a circle.
const HOPS: usize = 32;

impl<'a> Document<'a> {
    pub fn new(root: &'a Value) -> Result<Self, String> {
        let version = root.get("openapi").and_then(Value::as_str).unwrap_or_default();
        let dialect = match version.split('.').take(2).collect::<Vec<_>>()[..] {
            ["3", "0"] => Dialect::OpenApi30,
            ["3", "1"] => Dialect::OpenApi31,
            _ => {
                return Err(
                    "it is no OpenAPI document of version 3.0 or 3.1: its member 'openapi' does not say so".into()
                )
            }
        };
        Ok(Self { root, dialect })
    }

    /// What `#/a/b` points at (RFC 6901 §6).
    pub fn at(&self, reference: &str) -> Result<&'a Value, String> {
        let pointer = pointer(reference)?;
        self.root.pointer(&pointer).ok_or_else(|| format!("the reference {reference} points at nothing"))
    }

    /// The thing itself, and where it stands.
    pub fn follow(&self, value: &'a Value, pointer: &str) -> Result<(&'a Value, String), String> {
        let (mut value, mut place) = (value, pointer.to_owned());
        for _ in 0..HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Ok((value, place)) };
            (value, place) = (self.at(reference)?, self::pointer(reference)?);
        }
        Err(format!("{pointer}: its references go round in a circle"))
    }
}

/// The JSON Pointer of a reference within the document.
pub fn pointer(reference: &str) -> Result<String, String> {
    let fragment = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let fragment = fragment.ok_or_else(|| format!("the reference {reference} is not a JSON Pointer such as #/a/b"))?;
    let decoded = percent_decode_str(fragment).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| format!("the reference {reference} is not UTF-8"))
}

/// One step further down.
pub fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
