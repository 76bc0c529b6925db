//! What is made of a content: read as what it is, changed, written as what it is to be.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use stagedoor_expression::{json as tree, Template, Value};

use super::{form, xml, Variables};
use crate::evaluation::{compile_with, evaluate_with};
use crate::policy::compress::fields;
use crate::protocol::coding::Coding;
use crate::protocol::{charset, json, media};
use crate::shape::Shape;
use crate::snapshot::{self, ContentFormat};
use crate::worker::Worker;

pub struct Change {
    filter: Option<Template>,
    shape: Option<Shape>,
    write: Option<ContentFormat>,
    pub most: usize,
    /// What cannot be read is refused.
    pub refuses_other: bool,
}

/// Whose fault it is that there is nothing to send.
#[derive(Debug)]
pub enum Wrong {
    /// It is not what its media type says.
    Content(String),
    /// It is, and cannot be written as something else.
    Unwritable(String),
    /// The configuration's.
    Change(String),
}

impl Change {
    /// None where nothing is to be changed. Every mistake is added to `wrong`.
    pub fn compile(settings: &snapshot::ContentChange, variables: &[&str], wrong: &mut Vec<String>) -> Option<Self> {
        let filter = settings.filter.as_deref().map(|source| compile_with(source, variables)).transpose();
        let filter = filter.map_err(|message| wrong.push(format!("body: {message}"))).ok().flatten();
        let shape = Shape::compile(&settings.shape).map_err(|message| wrong.push(message)).ok().flatten();
        let changes = filter.is_some() || shape.is_some() || settings.write.is_some();
        changes.then_some(Self {
            filter,
            shape,
            write: settings.write,
            most: settings.body_bytes,
            refuses_other: settings.refuse_other,
        })
    }

    pub fn describe(settings: &snapshot::ContentChange) -> serde_json::Value {
        let shape = &settings.shape;
        json!({
            "body": settings.filter, "pick": shape.pick, "deny": shape.deny, "rename": shape.rename, "mask": shape.mask,
            "write": settings.write.map(name), "body_bytes": settings.body_bytes, "refuse_other": settings.refuse_other,
        })
    }

    pub async fn apply(
        &self,
        worker: &Worker,
        headers: &HeaderMap,
        content: &Bytes,
        format: ContentFormat,
        variables: &Variables,
    ) -> Result<Bytes, Wrong> {
        let to = self.write.unwrap_or(format);
        if self.filter.is_none() && (format, to) == (ContentFormat::Json, ContentFormat::Json) {
            // From text to text.
            return self.shaped(content);
        }
        let value = match format {
            ContentFormat::Json => tree::parse(content),
            ContentFormat::Form => form::read(content),
            ContentFormat::Xml => {
                charset::text(headers, content).ok_or("it is not UTF-8".to_owned()).and_then(xml::read)
            }
        };
        let mut value = value.map_err(Wrong::Content)?;
        if let Some(filter) = &self.filter {
            value = evaluate_with(worker, filter, &value, &variables.0).await.map_err(Wrong::Change)?;
        }
        if self.shape.is_some() {
            let text = self.shaped(&tree::write(&value).into())?;
            if to == ContentFormat::Json {
                return Ok(text);
            }
            value = tree::parse(&text).map_err(Wrong::Change)?;
        }
        match to {
            ContentFormat::Json => Ok(tree::write(&value).into()),
            ContentFormat::Form => form::write(&value).map(Bytes::from).map_err(|why| self.unwritable(why)),
            ContentFormat::Xml => xml::write(&value).map(Bytes::from).map_err(|why| self.unwritable(why)),
        }
    }

    /// What jq has made is the configuration's fault; anything else came so.
    fn unwritable(&self, why: String) -> Wrong {
        match self.filter {
            Some(_) => Wrong::Change(why),
            None => Wrong::Unwritable(why),
        }
    }

    /// One JSON value of a stream; None: it is left out, because jq makes null of it.
    pub async fn apply_to_event(
        &self,
        worker: &Worker,
        event: &Bytes,
        variables: &Variables,
    ) -> Result<Option<Bytes>, Wrong> {
        let Some(filter) = &self.filter else { return self.shaped(event).map(Some) };
        let value = tree::parse(event).map_err(Wrong::Content)?;
        let value = evaluate_with(worker, filter, &value, &variables.0).await.map_err(Wrong::Change)?;
        match value {
            Value::Null => Ok(None),
            value => self.shaped(&tree::write(&value).into()).map(Some),
        }
    }

    fn shaped(&self, text: &Bytes) -> Result<Bytes, Wrong> {
        let value = json::validate(text).map_err(|fault| Wrong::Content(fault.to_string()))?;
        match &self.shape {
            None => Ok(text.slice_ref(value)),
            Some(shape) => shape.apply(value).map(Bytes::from).map_err(|fault| Wrong::Content(fault.to_string())),
        }
    }

    /// The fields that speak of the content, after it has been changed.
    pub fn rewrite(&self, headers: &mut HeaderMap, format: ContentFormat) {
        rewrite(headers);
        charset::is_utf_8(headers);
        if let Some(to) = self.write.filter(|to| *to != format) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(to)));
        }
    }
}

/// Length, ranges, digests and a strong tag were those of other bytes.
pub fn rewrite(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ACCEPT_RANGES, CONTENT_ENCODING] {
        headers.remove(name);
    }
    fields::remove_digests(headers);
    fields::weaken(headers);
}

/// What a content is, by its media type, and how it is coded; None where it is none of these.
pub fn format(headers: &HeaderMap) -> Option<(ContentFormat, Coding)> {
    Some((kind(headers)?, Coding::of(headers)?))
}

fn kind(headers: &HeaderMap) -> Option<ContentFormat> {
    let essence = std::str::from_utf8(media::essence(headers)?).ok()?.to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "text/json" => Some(ContentFormat::Json),
        "application/x-www-form-urlencoded" => Some(ContentFormat::Form),
        "application/xml" | "text/xml" => Some(ContentFormat::Xml),
        other if other.ends_with("+json") => Some(ContentFormat::Json),
        other if other.ends_with("+xml") => Some(ContentFormat::Xml),
        _ => None,
    }
}

fn media_type(format: ContentFormat) -> &'static str {
    match format {
        ContentFormat::Json => "application/json",
        ContentFormat::Form => "application/x-www-form-urlencoded",
        ContentFormat::Xml => "application/xml",
    }
}

fn name(format: ContentFormat) -> &'static str {
    match format {
        ContentFormat::Json => "json",
        ContentFormat::Form => "form",
        ContentFormat::Xml => "xml",
    }
}
