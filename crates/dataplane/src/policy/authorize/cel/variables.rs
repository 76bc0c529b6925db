//! What an expression may know: of the request, its consumer, the claims that prove it, and the client.

use std::collections::HashMap;
use std::sync::Arc;

use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::Value;
use percent_encoding::percent_decode_str;

use super::check::Type;
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::route::condition::{form_decoded, pairs};

/// `OBJECT.FIELD`, or `claims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    Method,
    Host,
    Path,
    Scheme,
    Protocol,
    Id,
    Route,
    Query,
    Headers,
    Params,
    Version,
    Name,
    Groups,
    Scopes,
    Plan,
    How,
    Claims,
    Address,
}

use Variable::{
    Address, Claims, Groups, Headers, Host, How, Id, Method, Name, Params, Path, Plan, Protocol, Query, Route, Scheme,
    Scopes, Version,
};

/// Every variable with its object and field.
pub const ALL: [(Variable, &str, &str); 18] = [
    (Method, "request", "method"),
    (Host, "request", "host"),
    (Path, "request", "path"),
    (Scheme, "request", "scheme"),
    (Protocol, "request", "protocol"),
    (Id, "request", "id"),
    (Route, "request", "route"),
    (Query, "request", "query"),
    (Headers, "request", "headers"),
    (Params, "request", "params"),
    (Version, "request", "version"),
    (Name, "consumer", "name"),
    (Groups, "consumer", "groups"),
    (Scopes, "consumer", "scopes"),
    (Plan, "consumer", "plan"),
    (How, "consumer", "scheme"),
    (Claims, "claims", ""),
    (Address, "client", "address"),
];

impl Variable {
    /// As an identifier that nobody can write.
    pub fn key(self) -> &'static str {
        match self {
            Method => "request.method",
            Host => "request.host",
            Path => "request.path",
            Scheme => "request.scheme",
            Protocol => "request.protocol",
            Id => "request.id",
            Route => "request.route",
            Query => "request.query",
            Headers => "request.headers",
            Params => "request.params",
            Version => "request.version",
            Name => "consumer.name",
            Groups => "consumer.groups",
            Scopes => "consumer.scopes",
            Plan => "consumer.plan",
            How => "consumer.scheme",
            Claims => "claims",
            Address => "client.address",
        }
    }

    pub fn kind(self) -> Type {
        match self {
            Query | Headers | Params => Type::Map(Box::new(Type::Text)),
            Groups | Scopes => Type::List(Box::new(Type::Text)),
            Claims => Type::Map(Box::new(Type::Any)),
            _ => Type::Text,
        }
    }

    pub fn is_of_the_consumer(self) -> bool {
        matches!(self, Name | Groups | Scopes | Plan | How | Claims)
    }

    fn value(self, exchange: &Exchange, head: &RequestHead) -> Value {
        let consumer = exchange.consumer.as_deref();
        match self {
            Method => text(head.method.as_str()),
            Host => text(&String::from_utf8_lossy(exchange.host.as_bytes())),
            Path => text(exchange.path()),
            Scheme => text(exchange.scheme),
            Protocol => text(&format!("{:?}", head.version)),
            Id => text(&String::from_utf8_lossy(exchange.request_id().as_bytes())),
            Route => text(exchange.route.as_ref().map_or("", |route| &route.id)),
            Query => query(exchange.query().unwrap_or_default()),
            Headers => headers(head),
            Params => params(exchange),
            Version => text(exchange.version_name().map_or("", |name| name)),
            Name => text(consumer.map_or("", |consumer| &consumer.name)),
            Groups => list(consumer.map_or(&[], |consumer| &consumer.groups)),
            Scopes => list(consumer.map_or(&[], |consumer| &consumer.scopes)),
            Plan => text(consumer.and_then(|consumer| consumer.plan.as_deref()).unwrap_or_default()),
            How => text(consumer.map_or("", |consumer| consumer.scheme)),
            Claims => match consumer.map(|consumer| &consumer.claims) {
                Some(claims @ serde_json::Value::Object(_)) => of_json(claims),
                _ => Value::Map(Map { map: Arc::new(HashMap::new()) }),
            },
            Address => text(&exchange.client.to_string()),
        }
    }
}

/// The values of one request.
pub struct Values(Vec<(&'static str, Value)>);

impl Values {
    pub fn new(variables: &[Variable], exchange: &Exchange, head: &RequestHead) -> Self {
        Self(variables.iter().map(|variable| (variable.key(), variable.value(exchange, head))).collect())
    }
}

impl VariableResolver for Values {
    fn resolve(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    }
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn list(texts: &[Box<str>]) -> Value {
    Value::List(Arc::new(texts.iter().map(|each| text(each)).collect()))
}

fn map(entries: impl Iterator<Item = (String, String)>) -> Value {
    let mut map: HashMap<Key, Value> = HashMap::new();
    for (name, value) in entries {
        // Fields of one name are one field (RFC 9110 §5.3), and of parameters the first counts.
        map.entry(Key::from(name)).or_insert_with(|| text(&value));
    }
    Value::Map(Map { map: Arc::new(map) })
}

fn headers(head: &RequestHead) -> Value {
    map(head.headers.keys().map(|name| {
        let values: Vec<_> =
            head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (name.to_string(), values.join(", "))
    }))
}

fn query(query: &str) -> Value {
    let decoded = |part: &str| String::from_utf8_lossy(&form_decoded(part).collect::<Vec<u8>>()).into_owned();
    map(pairs(query).map(|(name, value)| (decoded(name), decoded(value))))
}

fn params(exchange: &Exchange) -> Value {
    let names = exchange.route.as_ref().map_or(&[][..], |route| route.path.names());
    map(names.iter().filter_map(|name| {
        let value = exchange.param(name)?;
        Some((name.to_string(), percent_decode_str(value).decode_utf8_lossy().into_owned()))
    }))
}

/// Whole numbers are `int`; CEL compares them with others by their value.
fn of_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Value::Int(int),
            (None, Some(uint)) => Value::UInt(uint),
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(value) => text(value),
        serde_json::Value::Array(values) => Value::List(Arc::new(values.iter().map(of_json).collect())),
        serde_json::Value::Object(entries) => {
            let map = entries.iter().map(|(name, value)| (Key::from(name.clone()), of_json(value)));
            Value::Map(Map { map: Arc::new(map.collect()) })
        }
    }
}
