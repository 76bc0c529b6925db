//! How parameters are written: the styles of OpenAPI 3.1 §4.8.12.2, which are those of RFC 6570 and three more. What is
//! split is still percent-encoded, so that an encoded delimiter is data.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::shape::{Form, Object, Shape};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    Space,
    Pipe,
    Deep,
}

type Outcome = Result<Value, &'static str>;
const NOT_TEXT: &str = "is not UTF-8";
const NOT_PAIRS: &str = "is not written as pairs of name and value";
const NOT_STYLE: &str = "is not written in its style";
const TWICE: &str = "is given more than once";

/// The name and the value of each pair of a query, the value still encoded.
pub type Pairs<'a> = Vec<(String, &'a str)>;

/// `+` is a space, as forms write it.
pub fn pairs(query: &str) -> Result<Pairs<'_>, &'static str> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name, true)?, value))
        })
        .collect()
}

pub fn decode(text: &str, plus: bool) -> Result<String, &'static str> {
    let text = match plus && text.contains('+') {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    percent_decode_str(&text).decode_utf8().map(Cow::into_owned).map_err(|_| NOT_TEXT)
}

impl Style {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Style::Simple,
            "label" => Style::Label,
            "matrix" => Style::Matrix,
            "form" => Style::Form,
            "spaceDelimited" => Style::Space,
            "pipeDelimited" => Style::Pipe,
            "deepObject" => Style::Deep,
            _ => return None,
        })
    }

    /// One text: a path segment, a header or a cookie. `encoded`: it is percent-encoded.
    pub fn read(self, name: &str, raw: &str, explode: bool, encoded: bool, shape: &Shape) -> Outcome {
        let read = |text: &str| if encoded { decode(text, false) } else { Ok(text.trim().to_owned()) };
        match self {
            Style::Label => {
                let rest = raw.strip_prefix('.').ok_or(NOT_STYLE)?;
                split(rest, if explode { "." } else { "," }, explode, shape, &read)
            }
            Style::Matrix => matrix(name, raw, explode, shape, &read),
            _ => split(raw, ",", explode, shape, &read),
        }
    }

    /// A parameter of a query, or of a form; None where it is not given.
    pub fn find(
        self,
        name: &str,
        pairs: &Pairs<'_>,
        explode: bool,
        shape: &Shape,
        claimed: &dyn Fn(&str) -> bool,
    ) -> Option<Outcome> {
        let read = |text: &str| decode(text, true);
        let given: Vec<&str> = pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1).collect();
        match (shape.form(), self) {
            (Form::Object(object), Style::Deep) => members(pairs, object, |key| {
                key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']').filter(|inner| !inner.contains('['))
            }),
            (Form::Object(object), Style::Form) if explode => members(pairs, object, |key| {
                let known = object.names().any(|each| each == key);
                (known || object.is_open() && !claimed(key)).then_some(key)
            }),
            (Form::List(items), _) if explode && !given.is_empty() => {
                Some(given.iter().map(|raw| Ok(items.value(read(raw)?))).collect::<Result<_, _>>().map(Value::Array))
            }
            _ => match given[..] {
                [] => None,
                [raw] => Some(match self {
                    Style::Space => split(&raw.replace('+', "%20"), "%20", false, shape, &read),
                    Style::Pipe => split(&raw.replace("%7C", "|").replace("%7c", "|"), "|", false, shape, &read),
                    _ => split(raw, ",", false, shape, &read),
                }),
                _ => Some(Err(TWICE)),
            },
        }
    }
}

type Read<'a> = &'a dyn Fn(&str) -> Result<String, &'static str>;

fn split(raw: &str, delimiter: &str, explode: bool, shape: &Shape, read: Read<'_>) -> Outcome {
    match shape.form() {
        Form::Scalar => Ok(shape.value(read(raw)?)),
        Form::List(_) if raw.is_empty() => Ok(Value::Array(Vec::new())),
        Form::List(items) => {
            raw.split(delimiter).map(|part| Ok(items.value(read(part)?))).collect::<Result<_, _>>().map(Value::Array)
        }
        Form::Object(_) if raw.is_empty() => Ok(Value::Object(Map::new())),
        Form::Object(object) if explode => {
            let pairs = raw.split(delimiter).map(|part| part.split_once('=').ok_or(NOT_PAIRS));
            gather(pairs, object, read)
        }
        Form::Object(object) => {
            let parts: Vec<&str> = raw.split(delimiter).collect();
            let pairs = parts.chunks(2).map(|pair| match pair {
                [name, value] => Ok((*name, *value)),
                _ => Err(NOT_PAIRS),
            });
            gather(pairs, object, read)
        }
    }
}

fn matrix(name: &str, raw: &str, explode: bool, shape: &Shape, read: Read<'_>) -> Outcome {
    let rest = raw.strip_prefix(';').ok_or(NOT_STYLE)?;
    let own = |part: &'_ str| -> Result<String, &'static str> {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        if key == name {
            Ok(value.to_owned())
        } else {
            Err(NOT_STYLE)
        }
    };
    match shape.form() {
        Form::List(items) if explode => {
            let values = rest.split(';').map(|part| Ok(items.value(read(&own(part)?)?)));
            values.collect::<Result<_, _>>().map(Value::Array)
        }
        Form::Object(object) if explode => {
            gather(rest.split(';').map(|part| part.split_once('=').ok_or(NOT_PAIRS)), object, read)
        }
        _ => split(&own(rest)?, ",", false, shape, read),
    }
}

fn gather<'a>(
    pairs: impl Iterator<Item = Result<(&'a str, &'a str), &'static str>>,
    object: &Object,
    read: Read<'_>,
) -> Outcome {
    let mut map = Map::new();
    for pair in pairs {
        let (name, value) = pair?;
        let (name, value) = (read(name)?, read(value)?);
        let value = scalar(object, &name, value);
        if map.insert(name, value).is_some() {
            return Err(TWICE);
        }
    }
    Ok(Value::Object(map))
}

fn scalar(object: &Object, name: &str, text: String) -> Value {
    match object.member(name) {
        Some(shape) => shape.value(text),
        None => Value::String(text),
    }
}

/// The members of an object that are pairs of their own.
fn members<'a>(pairs: &'a Pairs<'_>, object: &Object, name: impl Fn(&'a str) -> Option<&'a str>) -> Option<Outcome> {
    let mut map = Map::new();
    for (key, raw) in pairs {
        let Some(name) = name(key) else { continue };
        let text = match decode(raw, true) {
            Ok(text) => text,
            Err(error) => return Some(Err(error)),
        };
        match object.member(name).map(Shape::form) {
            Some(Form::List(items)) => {
                let list = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(items.value(text));
                }
            }
            _ if map.contains_key(name) => return Some(Err(TWICE)),
            _ => drop(map.insert(name.to_owned(), scalar(object, name, text))),
        }
    }
    (!map.is_empty()).then_some(Ok(Value::Object(map)))
}
