//! A message as path, query and content.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Map, Value};
use std::sync::Arc;

use super::super::grpc::frame::Frames;
use super::super::grpc::metadata;
use super::super::http_rule::binding::{Binding, Content};
use super::super::http_rule::template::Segment;
use super::super::message::{FieldPath, Kind as FieldKind, Known, MessageType, Plurality, Shape, WriteRules};
use super::Rules;
use crate::error::{Error, Kind};
use crate::evaluation::put_parameter;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::protocol::protobuf::{Field, Fields};

/// What stays as it is in a segment (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Made {
    pub(super) path: String,
    pub(super) query: String,
    /// Of the content, where there is some.
    pub(super) kind: Option<HeaderValue>,
    pub(super) body: Body,
}

/// The one message of a call.
pub(super) async fn message(headers: &HeaderMap, body: &mut Body, most: usize) -> Result<Bytes, Error> {
    let malformed = || Error::new(Kind::InvalidBody, "The call is not one message that can be read");
    let mut frames = Frames::new(most, metadata::is_gzip(headers));
    frames.push(body.buffer(most + super::super::grpc::frame::HEAD).await?);
    match (frames.message(), frames.is_between()) {
        (Ok(Some(message)), true) => Ok(message),
        (Err(super::super::grpc::frame::Fault::TooLarge), _) => {
            Err(Error::new(Kind::BodyTooLarge, format!("Here a message is at most {most} bytes")))
        }
        _ => Err(malformed()),
    }
}

pub(super) fn head(head: &mut RequestHead, binding: &Binding, kind: Option<HeaderValue>) {
    metadata::remove_own(&mut head.headers);
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TE] {
        head.headers.remove(name);
    }
    head.headers.extend(kind.map(|kind| (CONTENT_TYPE, kind)));
    let accept = match binding.rpc.server_streaming {
        true => "application/x-ndjson, text/event-stream;q=0.9, application/json;q=0.8",
        false => "application/json",
    };
    let any = matches!(binding.answer, super::super::http_rule::binding::Answer::Raw(_));
    head.headers.insert(ACCEPT, HeaderValue::from_static(if any { "*/*" } else { accept }));
    head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    head.method = binding.method.clone().unwrap_or(Method::POST);
}

/// By the first binding whose path fits.
pub(super) fn make<'b>(
    bindings: &'b [Arc<Binding>],
    message: &[u8],
    rules: &Rules,
) -> Result<(&'b Arc<Binding>, Made), Error> {
    let mut wrong = None;
    for binding in bindings {
        match made(binding, message, rules) {
            Ok(made) => return Ok((binding, made)),
            Err(error) => {
                wrong.get_or_insert(error);
            }
        }
    }
    Err(wrong.unwrap_or_else(|| Error::new(Kind::RouteNotFound, "The service has no such method")))
}

fn made(binding: &Binding, message: &[u8], rules: &Rules) -> Result<Made, Error> {
    let input = &binding.rpc.input;
    let json = || Some(HeaderValue::from_static("application/json"));
    let mut tree = match raw(binding, message)? {
        // Content of any kind alone: no field is left for path or query.
        Some((kind, data)) if binding.body == Content::Raw(None) => {
            let path = path(binding, &mut Map::new(), rules.write)?;
            return Ok(Made { path, query: String::new(), kind: Some(kind), body: Body::full(data) });
        }
        _ => tree(input, message, rules.write)?,
    };
    let path = path(binding, &mut tree, rules.write)?;
    let (kind, body) = match &binding.body {
        Content::Nothing => (None, Body::empty()),
        Content::Message => (json(), Body::full(Value::Object(std::mem::take(&mut tree)).to_string())),
        Content::Field(field) => {
            let name = field.names(input, rules.write.original_names)[0];
            let value = tree.shift_remove(name);
            let absent = || default(field.field(input.messages()).plurality);
            (json(), Body::full(value.unwrap_or_else(absent).to_string()))
        }
        Content::Raw(field) => {
            if let Some(field) = field {
                tree.shift_remove(field.names(input, rules.write.original_names)[0]);
            }
            match raw(binding, message)? {
                Some((kind, data)) => (Some(kind), Body::full(data)),
                None => (None, Body::empty()),
            }
        }
    };
    let mut query = String::new();
    put_query(input, input.shape(), "", &tree, &mut query)?;
    Ok(Made { path, query, kind, body })
}

fn default(plurality: Plurality) -> Value {
    match plurality {
        Plurality::Many { .. } => Value::Array(Vec::new()),
        Plurality::One { .. } | Plurality::Map => Value::Object(Map::new()),
    }
}

fn tree(input: &MessageType, message: &[u8], rules: WriteRules) -> Result<Map<String, Value>, Error> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::new(Kind::InvalidBody, format!("The message '{}' cannot be read: {why}", input.name()))
    };
    let mut text = Vec::with_capacity(message.len() * 2);
    input.write_json(message, rules, &mut text).map_err(|why| unreadable(&why))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(tree)) => Ok(tree),
        _ => Err(unreadable(&"its JSON is no object")),
    }
}

/// Type and data of a `google.api.HttpBody`.
fn raw(binding: &Binding, message: &[u8]) -> Result<Option<(HeaderValue, Bytes)>, Error> {
    let Content::Raw(field) = &binding.body else { return Ok(None) };
    let malformed = |_| Error::new(Kind::InvalidBody, "The message's HttpBody is malformed");
    let mut body = message;
    if let Some(field) = field {
        let number = field.field(binding.rpc.input.messages()).number;
        body = b"";
        for each in Fields::of(message) {
            match each.map_err(malformed)? {
                (found, Field::Bytes(inner)) if found == number => body = inner,
                _ => {}
            }
        }
    }
    let (mut kind, mut data) = ("application/octet-stream", &b""[..]);
    for each in Fields::of(body) {
        match each.map_err(malformed)? {
            (1, each @ Field::Bytes(_)) => kind = each.text().map_err(malformed)?,
            (2, Field::Bytes(bytes)) => data = bytes,
            _ => {}
        }
    }
    let kind = HeaderValue::from_str(kind)
        .map_err(|_| Error::new(Kind::InvalidBody, "The message's content type is no header's value"))?;
    Ok(Some((kind, Bytes::copy_from_slice(data))))
}

/// The template with its variables, which are taken out of the tree.
fn path(binding: &Binding, tree: &mut Map<String, Value>, rules: WriteRules) -> Result<String, Error> {
    let template = &binding.template;
    let mut path = String::new();
    let mut at = 0;
    while at < template.segments.len() {
        let variable = template.variables.iter().zip(&binding.variables).find(|(variable, _)| variable.start == at);
        match variable {
            Some((variable, field)) => {
                let value = take(tree, &field.names(&binding.rpc.input, rules.original_names));
                let value = value.or_else(|| zero(binding, field)).unwrap_or_default();
                let pattern = &template.segments[variable.start..variable.end];
                expand(pattern, &value, &mut path).ok_or_else(|| {
                    let detail = format!("The field '{}' does not fit the path {}", variable.field, binding.path);
                    Error::new(Kind::RequestInvalid, detail)
                })?;
                at = variable.end;
            }
            None => {
                let Segment::Literal(text) = &template.segments[at] else {
                    let detail = format!("The path {} has a part that no field gives", binding.path);
                    return Err(Error::new(Kind::RequestInvalid, detail));
                };
                path.push('/');
                path.push_str(text);
                at += 1;
            }
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    if let Some(verb) = &template.verb {
        path.push(':');
        path.push_str(verb);
    }
    Ok(path)
}

/// A number or a truth that is not there is its default; a text that is not there has no place in a path.
fn zero(binding: &Binding, field: &FieldPath) -> Option<String> {
    match field.field(binding.rpc.input.messages()).kind {
        FieldKind::Bool => Some("false".to_owned()),
        FieldKind::String | FieldKind::Bytes | FieldKind::Message(_) | FieldKind::Group(_) => None,
        _ => Some("0".to_owned()),
    }
}

fn expand(pattern: &[Segment], value: &str, path: &mut String) -> Option<()> {
    let parts: Vec<&str> = match pattern {
        [Segment::One] => vec![value],
        _ if value.is_empty() => Vec::new(),
        _ => value.split('/').collect(),
    };
    let rest = pattern.iter().position(|segment| *segment == Segment::Rest);
    let fits = match rest {
        None => parts.len() == pattern.len(),
        Some(_) => parts.len() + 1 >= pattern.len(),
    };
    if !fits || parts.iter().any(|part| part.is_empty() || matches!(*part, "." | "..")) {
        return None;
    }
    let behind = rest.map_or(0, |rest| pattern.len() - rest - 1);
    for (index, part) in parts.iter().enumerate() {
        let segment = match rest {
            Some(rest) if index >= rest && index < parts.len() - behind => &Segment::Rest,
            Some(rest) if index >= rest => pattern.get(pattern.len() + index - parts.len())?,
            _ => pattern.get(index)?,
        };
        if matches!(segment, Segment::Literal(text) if &**text != *part) {
            return None;
        }
        path.push('/');
        path.extend(utf8_percent_encode(part, SEGMENT));
    }
    Some(())
}

/// Takes a value out as text; what is left empty around it is taken out too.
fn take(tree: &mut Map<String, Value>, names: &[&str]) -> Option<String> {
    let (first, others) = names.split_first()?;
    if others.is_empty() {
        return text(&tree.shift_remove(*first)?);
    }
    let inner = tree.get_mut(*first)?.as_object_mut()?;
    let value = take(inner, others);
    if inner.is_empty() {
        tree.shift_remove(*first);
    }
    value
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn put_query(
    input: &MessageType,
    shape: &Shape,
    before: &str,
    tree: &Map<String, Value>,
    query: &mut String,
) -> Result<(), Error> {
    let mut put = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        put_parameter(query, name, value);
    };
    let mut inner = Vec::new();
    for (name, value) in tree {
        let full = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        let misplaced = || Error::new(Kind::RequestInvalid, format!("The field '{full}' cannot be put into a query"));
        let field = shape.position(name).map(|position| &shape.fields[position]).ok_or_else(misplaced)?;
        match (value, field.kind) {
            (Value::Object(tree), FieldKind::Message(index)) if field.plurality != Plurality::Map => {
                let known = input.messages().shape(index);
                if known.known != Known::No {
                    return Err(misplaced());
                }
                inner.push((full, known, tree));
            }
            (Value::Array(items), _) => {
                for item in items {
                    put(&full, &text(item).ok_or_else(misplaced)?);
                }
            }
            (value, _) => put(&full, &text(value).ok_or_else(misplaced)?),
        }
    }
    for (full, shape, tree) in inner {
        put_query(input, shape, &full, tree, query)?;
    }
    Ok(())
}
