//! One parameter of an operation, or one header of a response.

use http::header::COOKIE;
use http::HeaderMap;
use jsonschema::Validator;
use serde_json::Value;

use super::document::below;
use super::fault::Faults;
use super::json;
use super::schema::Schemas;
use super::shape::Shape;
use super::style::{decode, Pairs, Style};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum In {
    Path,
    Query,
    Header,
    Cookie,
}

impl In {
    fn as_str(self) -> &'static str {
        match self {
            In::Path => "path",
            In::Query => "query",
            In::Header => "header",
            In::Cookie => "cookie",
        }
    }
}

pub struct Parameter {
    pub name: String,
    pub place: In,
    required: bool,
    empty: bool,
    written: Written,
    shape: Shape,
    schema: Option<Validator>,
}

enum Written {
    Style(Style, bool),
    Json,
}

/// Where the parameters of a message are.
pub struct Source<'a> {
    /// Of the path's template, still encoded.
    pub path: &'a [(&'a str, &'a str)],
    pub query: &'a Pairs<'a>,
    pub headers: &'a HeaderMap,
}

impl Parameter {
    /// None for the headers that OpenAPI §4.8.12.1 says are not described as parameters.
    pub fn new(schemas: &Schemas<'_>, value: &Value, place: &str) -> Result<Option<Self>, String> {
        let wrong = |what: &str| format!("{place}: {what}");
        let name = value.get("name").and_then(Value::as_str).ok_or_else(|| wrong("it has no name"))?;
        let within = match value.get("in").and_then(Value::as_str) {
            Some("path") => In::Path,
            Some("query") => In::Query,
            Some("header") => In::Header,
            Some("cookie") => In::Cookie,
            _ => return Err(wrong("'in' is not path, query, header or cookie")),
        };
        if within == In::Header && ["accept", "content-type", "authorization"].contains(&&*name.to_ascii_lowercase()) {
            return Ok(None);
        }
        Self::read(schemas, value, name, within, place).map(Some)
    }

    pub fn read(schemas: &Schemas<'_>, value: &Value, name: &str, within: In, place: &str) -> Result<Self, String> {
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        let default = match within {
            In::Path | In::Header => Style::Simple,
            In::Query | In::Cookie => Style::Form,
        };
        let style = match value.get("style").and_then(Value::as_str) {
            None => default,
            Some(style) => Style::named(style).ok_or_else(|| format!("{place}: the style '{style}' is not known"))?,
        };
        let fits = match within {
            In::Path => matches!(style, Style::Simple | Style::Label | Style::Matrix),
            In::Query => matches!(style, Style::Form | Style::Space | Style::Pipe | Style::Deep),
            In::Header => style == Style::Simple,
            In::Cookie => style == Style::Form,
        };
        if !fits {
            return Err(format!("{place}: a parameter in {} does not have this style", within.as_str()));
        }
        let content = value.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let (written, at, schema) = match content {
            Some((media, content)) => {
                let at = below(&below(place, "content"), media);
                (if is_json(media) { Written::Json } else { Written::Style(default, false) }, at, content.get("schema"))
            }
            None => {
                let explode = flag("explode").unwrap_or(style == Style::Form);
                (Written::Style(style, explode), place.to_owned(), value.get("schema"))
            }
        };
        Ok(Self {
            name: name.to_owned(),
            place: within,
            required: flag("required").unwrap_or(within == In::Path),
            empty: flag("allowEmptyValue").unwrap_or(false),
            written,
            shape: schema.map(|schema| Shape::new(schemas.document(), schema)).unwrap_or_default(),
            schema: schema.map(|_| schemas.compile(&below(&at, "schema"))).transpose()?,
        })
    }

    /// `claimed`: names of the query that other parameters are written with.
    pub fn check(&self, source: &Source<'_>, claimed: &dyn Fn(&str) -> bool, faults: &mut Faults) {
        let place = self.place.as_str();
        match self.value(source, claimed) {
            None if self.required => faults.add(place, &self.name, "", "is required"),
            None => {}
            Some(Err(detail)) => faults.add(place, &self.name, "", &detail),
            Some(Ok(Value::String(text))) if self.empty && text.is_empty() => {}
            Some(Ok(value)) => {
                if let Some(schema) = &self.schema {
                    faults.check(place, &self.name, schema, &value);
                }
            }
        }
    }

    fn value(&self, source: &Source<'_>, claimed: &dyn Fn(&str) -> bool) -> Option<Result<Value, String>> {
        let raw = match (self.place, &self.written) {
            (In::Query, Written::Style(style, explode)) => {
                let found = style.find(&self.name, source.query, *explode, &self.shape, claimed);
                return found.map(|found| found.map_err(str::to_owned));
            }
            _ => match self.raw(source)? {
                Ok(raw) => raw,
                Err(error) => return Some(Err(error)),
            },
        };
        let encoded = self.place != In::Header;
        Some(match self.written {
            Written::Style(style, explode) => {
                style.read(&self.name, &raw, explode, encoded, &self.shape).map_err(str::to_owned)
            }
            Written::Json => match encoded {
                true => decode(&raw, self.place == In::Query)
                    .map_err(str::to_owned)
                    .and_then(|text| json::parse(text.as_bytes())),
                false => json::parse(raw.as_bytes()),
            },
        })
    }

    fn raw(&self, source: &Source<'_>) -> Option<Result<String, String>> {
        let one = |mut found: Vec<String>| match found.len() {
            0 => None,
            1 => found.pop().map(Ok),
            _ => Some(Err("is given more than once".to_owned())),
        };
        match self.place {
            In::Path => {
                let (_, raw) = source.path.iter().find(|(name, _)| *name == self.name)?;
                Some(Ok((*raw).to_owned()))
            }
            In::Query => one(source
                .query
                .iter()
                .filter(|(name, _)| *name == self.name)
                .map(|(_, raw)| (*raw).to_owned())
                .collect()),
            In::Header => {
                let lines = source.headers.get_all(&self.name).iter();
                let texts: Result<Vec<&str>, _> = lines.map(|line| line.to_str()).collect();
                match texts {
                    Err(_) => Some(Err("holds what is no text".to_owned())),
                    Ok(texts) if texts.is_empty() => None,
                    Ok(texts) => Some(Ok(texts.join(","))),
                }
            }
            In::Cookie => {
                let lines = source.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
                let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
                one(pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value.to_owned()).collect())
            }
        }
    }
}

pub fn is_json(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim();
    let subtype = media.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
}
