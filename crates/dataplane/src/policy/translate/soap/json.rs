//! JSON as a tree in which numbers stay as they are written, so that no digit of an amount is lost.

use crate::protocol::json::{Fault, Reader, DEPTH};

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::new(text).map_err(|fault| fault.to_string())?;
        let value = read(&mut reader, DEPTH).map_err(|fault| fault.to_string())?;
        reader.end().map_err(|fault| fault.to_string())?;
        Ok(value)
    }

    /// What it is, for who reads an error.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a truth value",
            Json::Number(_) => "a number",
            Json::Text(_) => "text",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Json, Fault> {
    Ok(match reader.peek()? {
        b'{' => {
            let mut members = Vec::new();
            reader.object(depth, |reader, name| {
                members.push((text(name)?, read(reader, depth - 1)?));
                Ok(())
            })?;
            Json::Object(members)
        }
        b'[' => {
            let mut items = Vec::new();
            reader.array(depth, |reader| {
                items.push(read(reader, depth - 1)?);
                Ok(())
            })?;
            Json::List(items)
        }
        b'"' => Json::Text(text(reader.skip(depth)?)?),
        _ => match reader.skip(depth)? {
            b"null" => Json::Null,
            b"true" => Json::Bool(true),
            b"false" => Json::Bool(false),
            number => Json::Number(String::from_utf8_lossy(number).into_owned()),
        },
    })
}

/// A lone surrogate is no text.
fn text(quoted: &[u8]) -> Result<String, Fault> {
    serde_json::from_slice(quoted).map_err(|_| Fault::NotText)
}
