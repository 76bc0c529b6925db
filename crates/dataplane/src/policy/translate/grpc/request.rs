//! The message of a call, from path, query and content.

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::super::http_rule::binding::{Binding, Content};
use super::super::http_rule::table::Found;
use super::super::message::{FieldPath, MessageType, Wrong};
use super::{frame, Rules};
use crate::error::{Error, Kind};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::protocol::media;

/// The fields that path and query give, as a message in which others may come before them.
pub(super) fn parameters(found: &Found<'_, '_>, query: &str, rules: &Rules) -> Result<Vec<u8>, Error> {
    let binding = &**found.binding;
    let mut out = Vec::new();
    // What the path says comes last, and what comes last counts.
    self::query(binding, query, rules, &mut out)?;
    let messages = binding.rpc.input.messages();
    for (variable, field) in binding.template.variables.iter().zip(&binding.variables) {
        let span = (variable.start, variable.end);
        let segments = found.segments.get(binding.template.span(span, found.segments.len())).unwrap_or_default();
        let raw = segments.join("/");
        let value = decode(&raw, binding.template.spans_several(span));
        let value = value.ok_or_else(|| wrong("path", &variable.field, "is not text"))?;
        field.put_text(messages, &value, &mut out).map_err(|detail| wrong("path", &variable.field, detail))?;
    }
    Ok(out)
}

/// A slash within a value that spans several segments stays what it is: encoded.
fn decode(raw: &str, several: bool) -> Option<String> {
    if !raw.contains('%') {
        return Some(raw.to_owned());
    }
    if !several {
        return percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    }
    let kept = raw.replace("%2F", "%252F").replace("%2f", "%252f");
    percent_decode_str(&kept).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn query(binding: &Binding, query: &str, rules: &Rules, out: &mut Vec<u8>) -> Result<(), Error> {
    let input = &binding.rpc.input;
    let messages = input.messages();
    let mut seen: Vec<FieldPath> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |raw: &str| {
            let plain = raw.replace('+', " ");
            percent_decode_str(&plain).decode_utf8().ok().map(std::borrow::Cow::into_owned)
        };
        let name = text(name).ok_or_else(|| wrong("query", "", "a name in it is not text"))?;
        let value = text(value).ok_or_else(|| wrong("query", &name, "is not text"))?;
        // All fields are content already, or no name is one of theirs.
        let whole = matches!(binding.body, Content::Message | Content::Raw(None));
        let path = match FieldPath::resolve(input, &name) {
            Ok(path) if !whole => path,
            _ if rules.ignore_unknown_query => continue,
            Ok(_) => return Err(wrong("query", &name, "is given by the content")),
            Err(_) => return Err(wrong("query", &name, "is no field of the request")),
        };
        let by_content = match &binding.body {
            Content::Field(body) | Content::Raw(Some(body)) => body.holds(&path),
            Content::Nothing | Content::Message | Content::Raw(None) => false,
        };
        if by_content || binding.variables.contains(&path) {
            return Err(wrong("query", &name, "is given by the path or the content"));
        }
        if !path.is_repeated(messages) {
            if seen.contains(&path) {
                return Err(wrong("query", &name, "is given twice"));
            }
            seen.push(path.clone());
        }
        path.put_text(messages, &value, out).map_err(|detail| wrong("query", &name, detail))?;
    }
    Ok(())
}

/// Of a method that takes one message: the message as gRPC sends it.
pub(super) async fn message(
    binding: &Binding,
    head: &RequestHead,
    body: &mut Body,
    parameters: &[u8],
    rules: &Rules,
) -> Result<Bytes, Error> {
    let content = match binding.body {
        Content::Nothing if body.is_end_stream() => Bytes::new(),
        Content::Nothing => match body.buffer(rules.most).await? {
            content if content.is_empty() => content,
            _ => return Err(Error::new(Kind::InvalidBody, "This method takes no content")),
        },
        Content::Raw(_) => body.buffer(rules.most).await?,
        Content::Message | Content::Field(_) => {
            refuse_other(head)?;
            body.buffer(rules.most).await?
        }
    };
    put(binding, head, &content, parameters, rules)
}

/// One message of some content.
pub(super) fn put(
    binding: &Binding,
    head: &RequestHead,
    content: &[u8],
    parameters: &[u8],
    rules: &Rules,
) -> Result<Bytes, Error> {
    let input = &binding.rpc.input;
    let mut out = frame::begin(content.len() + parameters.len());
    match &binding.body {
        Content::Nothing => {}
        // No content is a message without fields.
        Content::Message if content.is_empty() => {}
        Content::Message => input.read_json(content, rules.read, &mut out).map_err(refuse)?,
        Content::Field(_) if content.is_empty() => {}
        Content::Field(path) => input.read_json_field(path, content, rules.read, &mut out).map_err(refuse)?,
        Content::Raw(path) => raw(input, path.as_ref(), head, content, &mut out),
    }
    out.extend_from_slice(parameters);
    finish(out, rules)
}

pub(super) fn finish(out: Vec<u8>, rules: &Rules) -> Result<Bytes, Error> {
    let too_large = || Error::new(Kind::BodyTooLarge, format!("Here a message is at most {} bytes", rules.most));
    if out.len() - frame::HEAD > rules.most {
        return Err(too_large());
    }
    frame::finish(out).ok_or_else(too_large)
}

/// A `google.api.HttpBody`.
fn raw(input: &MessageType, path: Option<&FieldPath>, head: &RequestHead, content: &[u8], out: &mut Vec<u8>) {
    let kind = head.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let body = crate::protocol::protobuf::Message::default().text(1, kind).bytes(2, content).into_bytes();
    match path {
        None => out.extend_from_slice(&body),
        Some(path) => path.put_message(input.messages(), &body, out),
    }
}

/// Content must be JSON, or say nothing of what it is.
pub(super) fn refuse_other(head: &RequestHead) -> Result<(), Error> {
    let kind = media::essence(&head.headers).unwrap_or_default().to_ascii_lowercase();
    let is_json = kind.is_empty() || kind == b"application/json" || kind.ends_with(b"+json") || is_lines(&kind);
    let coded = head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() != b"identity");
    match is_json && !coded {
        true => Ok(()),
        false => {
            Err(Error::new(Kind::UnsupportedMediaType, "Here the request's content is JSON, without a content coding"))
        }
    }
}

/// One value on each line.
pub(super) fn is_lines(kind: &[u8]) -> bool {
    [&b"application/x-ndjson"[..], b"application/ndjson", b"application/jsonl"].contains(&kind)
}

pub(super) fn refuse(wrong: Wrong) -> Error {
    let fault = json!({
        "in": "body", "pointer": wrong.pointer(), "line": wrong.line(), "column": wrong.column(),
        "detail": wrong.detail(),
    });
    Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {wrong}")).errors(vec![fault])
}

fn wrong(place: &str, name: &str, detail: &str) -> Error {
    let short: String = name.chars().take(100).collect();
    let fault = json!({"in": place, "name": short, "detail": detail});
    Error::new(Kind::RequestInvalid, format!("In the {place} '{short}' {detail}")).errors(vec![fault])
}
