//! From claims to a consumer: where a token, an introspection or a session says who its subject is and what it may do.

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use super::consumer::Facts;
use super::Consumer;
use crate::identity;
use crate::snapshot;

/// Groups, scopes and audiences of one token; those after them are an error.
pub const NAMES: usize = 1000;

/// What is wrong with claims, for the log.
pub type Wrong = &'static str;

pub struct Claims {
    subject: String,
    groups: Option<String>,
    scopes: Option<String>,
    plan: Option<String>,
    headers: Vec<(HeaderName, String)>,
}

impl Claims {
    pub fn new(settings: &snapshot::Claims, errors: &mut Vec<String>) -> Self {
        let named =
            [Some(&settings.subject), settings.groups.as_ref(), settings.scopes.as_ref(), settings.plan.as_ref()];
        let pointers = named.into_iter().flatten().chain(settings.headers.values());
        for pointer in pointers.filter(|pointer| !pointer.starts_with('/')) {
            errors.push(format!("'{pointer}' is not a JSON Pointer such as /sub"));
        }
        let mut headers = Vec::new();
        for (name, pointer) in &settings.headers {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(known) if !identity::is_reserved(known.as_str()) => headers.push((known, pointer.clone())),
                _ => errors.push(format!("headers: '{name}' is not a header that can be set")),
            }
        }
        let snapshot::Claims { subject, groups, scopes, plan, .. } = settings.clone();
        Self { subject, groups, scopes, plan, headers }
    }

    /// Its name begins with the issuer's, so that no token can be anybody whom the configuration or another issuer
    /// knows.
    pub fn consumer(&self, issuer: &str, claims: Map<String, Value>, scheme: &'static str) -> Result<Consumer, Wrong> {
        let claims = Value::Object(claims);
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| claims.pointer(pointer));
        let name = match claims.pointer(&self.subject) {
            Some(Value::String(name)) if !name.is_empty() && name.len() <= 1024 => format!("{issuer}/{name}"),
            _ => return Err("it does not say who its subject is"),
        };
        let groups = names(at(&self.groups))?.unwrap_or_default();
        let scopes = match &self.scopes {
            Some(pointer) => words(claims.pointer(pointer))?,
            None => match words(claims.get("scope"))? {
                None => words(claims.get("scp"))?,
                scopes => scopes,
            },
        };
        let plan = match at(&self.plan) {
            None | Some(Value::Null) => None,
            Some(Value::String(plan)) if plan.len() <= 100 => Some(plan.as_str()),
            Some(_) => return Err("the plan in it is not a name"),
        };
        let facts = Facts { groups: &groups, scopes: &scopes.unwrap_or_default(), plan, scheme };
        let mut consumer = Consumer::proved(&name, &facts, None);
        for (name, pointer) in &self.headers {
            if let Some(text) = claims.pointer(pointer).and_then(text) {
                consumer.identity.add(name, &text);
                consumer.of_claims.push((name.clone(), pointer.as_str().into()));
            }
        }
        consumer.claims = claims;
        Ok(consumer)
    }

    /// A client's own headers that endpoints would take for claims, under every spelling.
    pub fn remove(&self, headers: &mut HeaderMap) {
        if self.headers.is_empty() {
            return;
        }
        let ours = |name: &HeaderName| {
            let same = |own: &HeaderName| own.as_str().len() == name.as_str().len();
            self.headers.iter().any(|(own, _)| same(own) && spelled(name.as_str(), own.as_str()))
        };
        let foreign: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
        foreign.iter().for_each(|name| while headers.remove(name).is_some() {});
    }
}

/// Whether some server may read both as one name.
fn spelled(name: &str, own: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(plain).eq(own.bytes().map(plain))
}

/// As a header holds it: texts, numbers, and lists of them with commas between.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(identity::escape(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Array(values) if values.iter().all(|value| value.is_string() || value.is_number()) => {
            Some(values.iter().filter_map(text).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One text, or a list of texts.
pub fn names(value: Option<&Value>) -> Result<Option<Vec<String>>, Wrong> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(vec![name.clone()])),
        Some(Value::Array(names)) if names.len() <= NAMES => {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<_>>>().map(Some).ok_or("a list in it holds something other than texts")
        }
        Some(_) => Err("a claim is neither text nor a list of texts, or too long a list"),
    }
}

/// As `names`, with spaces between those of one text (RFC 6749 §3.3).
fn words(value: Option<&Value>) -> Result<Option<Vec<String>>, Wrong> {
    match value {
        Some(Value::String(text)) => {
            let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            if words.len() > NAMES {
                Err("it has too many scopes")
            } else {
                Ok(Some(words))
            }
        }
        other => names(other),
    }
}
