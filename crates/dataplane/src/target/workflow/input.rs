//! A request as the value that the input's expression sees: `{method, path, params, query, headers, consumer, body}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use stagedoor_expression::value::TooLarge;
use stagedoor_expression::{json, Value};

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::route::path::decode;

/// A larger body is 413, also where the route's `limits` allow more: the whole of it is held in memory.
pub const BODY_BYTES: usize = 1024 * 1024;

/// Credentials never become part of a workflow's history.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// The body as JSON, null when it is empty. 415 when it is declared to be anything else, 400 when it is malformed.
pub(super) async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Value, Error> {
    let whole = body.buffer(BODY_BYTES).await?;
    if whole.is_empty() {
        return Ok(Value::Null);
    }
    if !is_json(headers) {
        return Err(Error::new(Kind::UnsupportedMediaType, "The body must be application/json"));
    }
    json::parse(&whole).map_err(|error| Error::new(Kind::InvalidBody, format!("The body is not JSON: {error}")))
}

/// `application/json` or `application/*+json` (RFC 6839 §3.1), parameters aside.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub(super) fn describe(exchange: &Exchange, headers: &HeaderMap, body: Value) -> Result<Value, Error> {
    let too_large = |error: TooLarge| Error::new(Kind::BodyTooLarge, format!("The request is too large: {error}"));
    value(exchange, headers, body).map_err(too_large)
}

fn value(exchange: &Exchange, headers: &HeaderMap, body: Value) -> Result<Value, TooLarge> {
    let params = match &exchange.route {
        None => Value::object::<&str>([])?,
        Some(route) => {
            let pairs = exchange.params.iter(route.path.names(), exchange.path());
            Value::object(pairs.map(|(name, value)| (name, Value::string(decode(value)))))?
        }
    };
    let consumer = match &exchange.consumer {
        None => Value::Null,
        Some(consumer) => {
            let list = |texts: &[Box<str>]| Value::array(texts.iter().map(|text| Value::string(&**text)));
            let (groups, scopes) = (list(&consumer.groups)?, list(&consumer.scopes)?);
            let text = |text: Option<&str>| text.map_or(Value::Null, Value::string);
            let (id, plan) = (text(exchange.caller()), text(consumer.plan.as_deref()));
            Value::object([("id", id), ("groups", groups), ("scopes", scopes), ("plan", plan)])?
        }
    };
    Value::object([
        ("method", Value::string(exchange.method.as_str())),
        ("path", Value::string(exchange.path())),
        ("params", params),
        ("query", query(exchange.query().unwrap_or_default())?),
        ("headers", fields(headers)?),
        ("consumer", consumer),
        ("body", body),
    ])
}

/// Lower-case names; lines of one name are joined by commas (RFC 9110 §5.3).
fn fields(headers: &HeaderMap) -> Result<Value, TooLarge> {
    let joined = headers.keys().filter(|name| !SECRET.contains(name)).map(|name| {
        let lines: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (name.as_str(), Value::string(lines.join(", ")))
    });
    Value::object(joined)
}

/// Strings; a name that stands more than once has an array.
fn query(query: &str) -> Result<Value, TooLarge> {
    let mut names: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        names.entry(text(name).into()).or_default().push(Value::string(text(value)));
    }
    let values = names.into_iter().map(|(name, mut values)| match values.len() {
        1 => Ok((name, values.remove(0))),
        _ => Ok((name, Value::array(values)?)),
    });
    Value::object(values.collect::<Result<Vec<_>, TooLarge>>()?)
}
