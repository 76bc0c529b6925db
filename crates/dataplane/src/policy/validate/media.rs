//! What a body may be: media types with their schemas.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::HeaderMap;
use jsonschema::Validator;
use serde_json::{Map, Value};

use super::document::below;
use super::fault::Faults;
use super::json;
use super::parameter::is_json;
use super::schema::Schemas;
use super::shape::{Form, Shape};
use super::style::{self, Style};

/// The media types of a body, the most precise first.
#[derive(Default)]
pub struct Content(Vec<(String, Media)>);

pub struct Media {
    read: Read,
    schema: Option<Validator>,
}

enum Read {
    Json,
    /// `application/x-www-form-urlencoded`, with what its schema says of each field and how lists are written.
    Form(Shape, Vec<(String, Style, bool)>),
    Text,
    /// Not looked into.
    Opaque,
}

impl Content {
    pub fn new(schemas: &Schemas<'_>, content: Option<&Value>, place: &str) -> Result<Self, String> {
        let mut types = Vec::new();
        for (name, media) in content.and_then(Value::as_object).into_iter().flatten() {
            let at = below(place, name);
            let range = essence(name);
            let schema = media.get("schema");
            let read = match range.as_str() {
                name if is_json(name) => Read::Json,
                "application/x-www-form-urlencoded" => {
                    let shape = schema.map(|schema| Shape::new(schemas.document(), schema)).unwrap_or_default();
                    Read::Form(shape, encodings(media, &at)?)
                }
                name if name.starts_with("text/") && name != "text/event-stream" => Read::Text,
                _ => Read::Opaque,
            };
            let looked = !matches!(read, Read::Opaque);
            let schema = schema.filter(|_| looked).map(|_| schemas.compile(&below(&at, "schema"))).transpose()?;
            types.push((range, Media { read, schema }));
        }
        types.sort_by_key(|(range, _)| range.matches('*').count());
        Ok(Self(types))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn find(&self, essence: &str) -> Option<&Media> {
        self.0.iter().find(|(range, _)| fits(range, essence)).map(|(_, media)| media)
    }

    /// For people: the types that are taken.
    pub fn names(&self) -> String {
        self.0.iter().map(|(range, _)| range.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Media {
    pub fn json(schema: Validator) -> Self {
        Self { read: Read::Json, schema: Some(schema) }
    }

    /// Whether its content has to be looked at. JSON is read even where there is no schema: it must be JSON.
    pub fn is_read(&self) -> bool {
        self.schema.is_some() || matches!(self.read, Read::Json)
    }

    pub fn check(&self, content: &[u8], faults: &mut Faults) {
        let value = match &self.read {
            Read::Opaque => return,
            Read::Json => json::parse(content),
            Read::Text => std::str::from_utf8(content)
                .map(|text| Value::String(text.to_owned()))
                .map_err(|_| "is not UTF-8".to_owned()),
            Read::Form(shape, styles) => form(content, shape, styles),
        };
        match (value, &self.schema) {
            (Err(detail), _) => faults.add("body", "", "", &detail),
            (Ok(value), Some(schema)) => faults.check("body", "", schema, &value),
            (Ok(_), None) => {}
        }
    }
}

/// OpenAPI 3.1 §4.8.15: each field as a query parameter of its own.
fn form(content: &[u8], shape: &Shape, styles: &[(String, Style, bool)]) -> Result<Value, String> {
    let text = std::str::from_utf8(content).map_err(|_| "is not UTF-8")?;
    let pairs = style::pairs(text)?;
    let mut map = Map::new();
    let Form::Object(object) = shape.form() else { return Err("is a form, which its schema does not describe".into()) };
    let named: Vec<&str> = object.names().collect();
    let open = Shape::default();
    // `a[b]` belongs to `a` only where that is how `a` is written.
    let is_deep = |name: &str| styles.iter().any(|(field, style, _)| field == name && *style == Style::Deep);
    let base = |name: &'_ str| name.split_once('[').map(|(base, _)| base.to_owned()).filter(|base| is_deep(base));
    let others: Vec<String> = pairs.iter().map(|(name, _)| base(name).unwrap_or_else(|| name.clone())).collect();
    let mut names = named.clone();
    for name in &others {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
        if names.len() > FIELDS {
            return Err(format!("has more than {FIELDS} fields"));
        }
    }
    for name in names {
        let (style, explode) = styles
            .iter()
            .find(|(field, ..)| field == name)
            .map_or((Style::Form, true), |(_, style, explode)| (*style, *explode));
        let shape = object.member(name).unwrap_or(&open);
        let claimed = |key: &str| named.contains(&key);
        if let Some(value) = style.find(name, &pairs, explode, shape, &claimed) {
            map.insert(name.to_owned(), value.map_err(|error| format!("the field '{name}' {error}"))?);
        }
    }
    Ok(Value::Object(map))
}

/// Fields of a form; each is looked for among all.
const FIELDS: usize = 256;

fn encodings(media: &Value, place: &str) -> Result<Vec<(String, Style, bool)>, String> {
    let fields = media.get("encoding").and_then(Value::as_object).into_iter().flatten();
    let read = |(name, field): (&String, &Value)| {
        let style = match field.get("style").and_then(Value::as_str) {
            None => Style::Form,
            Some(style) => Style::named(style).ok_or_else(|| format!("{place}: the style '{style}' is not known"))?,
        };
        let explode = field.get("explode").and_then(Value::as_bool).unwrap_or(style == Style::Form);
        Ok((name.clone(), style, explode))
    };
    fields.map(read).collect()
}

/// A media type without its parameters, lower-case (RFC 9110 §8.3.1).
pub fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub fn fits(range: &str, essence: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(start) => essence.starts_with(start),
        None => range == essence,
    }
}

/// Of a message; None where it says none, or several.
pub fn declared(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok().map(essence)
}

/// It is compressed or otherwise coded, and cannot be read as it is.
pub fn is_coded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
