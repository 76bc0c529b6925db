//! A request as the value that expressions see: `{method, path, params, query, headers, consumer, body}`, and
//! `version` where its route belongs to an API.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use stagedoor_expression::value::TooLarge;
use stagedoor_expression::Value;

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::route::path::decode;

/// Credentials never become part of a workflow's history, nor of what a service is sent by an expression.
const SECRET: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

pub fn describe(exchange: &Exchange, headers: &HeaderMap, body: Value) -> Result<Value, Error> {
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
    let consumer = match exchange.told_consumer() {
        None => Value::Null,
        Some(consumer) => {
            let list = |texts: &[Box<str>]| Value::array(texts.iter().map(|text| Value::string(&**text)));
            let (groups, scopes) = (list(&consumer.groups)?, list(&consumer.scopes)?);
            let text = |text: Option<&str>| text.map_or(Value::Null, Value::string);
            let (id, plan) = (text(exchange.told_caller()), text(consumer.plan.as_deref()));
            Value::object([("id", id), ("groups", groups), ("scopes", scopes), ("plan", plan)])?
        }
    };
    let version = exchange.version_name().map(|name| ("version", Value::string(&**name)));
    let parts = [
        ("method", Value::string(exchange.asked_method().as_str())),
        ("path", Value::string(exchange.asked_path())),
        ("params", params),
        ("query", query(exchange.asked_query().unwrap_or_default())?),
        ("headers", fields(headers)?),
        ("consumer", consumer),
        ("body", body),
    ];
    Value::object(parts.into_iter().chain(version))
}

/// Lower-case names; lines of one name are joined by commas (RFC 9110 §5.3).
pub fn fields(headers: &HeaderMap) -> Result<Value, TooLarge> {
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
