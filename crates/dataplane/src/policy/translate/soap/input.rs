//! What the operation is given: made by an expression, or content and parameters as they are.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use stagedoor_expression::{json as tree, Template, Value};

use super::json::Json;
use super::types::{Complex, Type};
use super::Soap;
use crate::described;
use crate::error::{Error, Kind};
use crate::evaluation::evaluate;
use crate::exchange::Exchange;
use crate::policy::transform::content;
use crate::protocol::body::Body;
use crate::protocol::coding::Fault as CodingFault;
use crate::route::path::decode;
use crate::snapshot::ContentFormat;
use crate::worker::Worker;

impl Soap {
    pub(super) async fn evaluated(
        &self,
        worker: &Worker,
        exchange: &Exchange,
        headers: &HeaderMap,
        template: &Template,
        content: Option<bytes::Bytes>,
    ) -> Result<Json, Error> {
        let malformed =
            |why: String| Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {why}"));
        let content = content.map(|content| tree::parse(&content)).transpose().map_err(malformed)?;
        let input = described::describe(exchange, headers, content.unwrap_or(Value::Null))?;
        let failed =
            |cause: String| Error::new(Kind::ExpressionFailed, "The operation's input could not be made").cause(cause);
        let made = evaluate(worker, template, &input).await.map_err(failed)?;
        Json::parse(&tree::write(&made)).map_err(failed)
    }

    /// The content, and parameters of the path that the operation knows; without a content also those of the query.
    pub(super) fn given(&self, exchange: &Exchange, content: Option<bytes::Bytes>) -> Result<Json, Error> {
        let malformed =
            |why: String| Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {why}"));
        let has_content = content.is_some();
        let mut value = match content {
            Some(content) => Json::parse(&content).map_err(malformed)?,
            None => Json::Object(Vec::new()),
        };
        let (Json::Object(members), Some(complex)) = (&mut value, self.complex()) else {
            return Ok(value);
        };
        if let Some(route) = &exchange.route {
            for (name, text) in exchange.params.iter(route.path.names(), exchange.path()) {
                if complex.members.contains_key(name) && !members.iter().any(|(known, _)| known == name) {
                    members.push((name.to_owned(), Json::Text(decode(text).into_owned())));
                }
            }
        }
        if !has_content {
            for pair in exchange.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
                let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
                put(members, plain(name).into_owned(), plain(text).into_owned());
            }
        }
        Ok(value)
    }

    fn complex(&self) -> Option<&Complex> {
        match self.operation.types.get(self.operation.input.as_ref()?.kind) {
            Type::Complex(complex) => Some(complex),
            _ => None,
        }
    }
}

/// JSON, or nothing.
pub(super) async fn content_of(
    headers: &HeaderMap,
    body: &mut Body,
    most: usize,
) -> Result<Option<bytes::Bytes>, Error> {
    let whole = body.buffer(most).await?;
    if whole.is_empty() {
        return Ok(None);
    }
    let Some((ContentFormat::Json, coding)) = content::format(headers) else {
        return Err(Error::new(Kind::UnsupportedMediaType, "The body must be application/json"));
    };
    let plain = coding.decode(&whole, most).map_err(|fault| match fault {
        CodingFault::Damaged => {
            Error::new(Kind::InvalidBody, "The request's content is not what its Content-Encoding says")
        }
        CodingFault::TooLarge => {
            Error::new(Kind::BodyTooLarge, format!("Here the request's content is at most {most} bytes, decoded"))
        }
    })?;
    Ok(Some(plain))
}

fn plain(text: &str) -> Cow<'_, str> {
    match text.contains('+') {
        true => Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()),
        false => percent_decode_str(text).decode_utf8_lossy(),
    }
}

/// A name that stands more than once has a list.
fn put(members: &mut Vec<(String, Json)>, name: String, text: String) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        None => members.push((name, Json::Text(text))),
        Some((_, Json::List(items))) => items.push(Json::Text(text)),
        Some((_, first)) => *first = Json::List(vec![std::mem::replace(first, Json::Null), Json::Text(text)]),
    }
}
