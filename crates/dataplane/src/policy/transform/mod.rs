//! Requests and responses made into others: heads by text and jq, contents by jq and by fields, from one format to
//! another.

pub mod content;
pub mod events;
mod form;
mod problem;
pub mod request;
pub mod response;
pub(in crate::policy) mod xml;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use stagedoor_expression::{Template, Value};

use crate::error::{Error, Kind};
use crate::evaluation::evaluate_with;
use crate::identity;
use crate::policy::headers::is_reserved;
use crate::snapshot;
use crate::worker::Worker;

pub use request::TransformRequest;
pub use response::TransformResponse;

/// In the order in which expressions were compiled.
pub struct Variables(pub Vec<Value>);

impl Variables {
    /// jq over them alone: its input is null.
    async fn evaluate(&self, worker: &Worker, template: &Template, what: &str) -> Result<Value, Error> {
        let outcome = evaluate_with(worker, template, &Value::Null, &self.0).await;
        outcome.map_err(|cause| failed(what, cause))
    }
}

/// The configuration's own fault.
fn failed(what: &str, cause: impl std::fmt::Display) -> Error {
    Error::new(Kind::ExpressionFailed, format!("The {what} could not be made")).cause(cause)
}

/// First what is removed, then what is set.
struct HeaderChanges {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Template)>,
}

impl HeaderChanges {
    fn compile(settings: &snapshot::Changes, variables: &[&str], wrong: &mut Vec<String>) -> Self {
        let name = |name: &String| match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) if is_reserved(&name) || identity::is_reserved(name.as_str()) => {
                Err(format!("headers: '{name}': the gateway sets it itself"))
            }
            Ok(name) => Ok(name),
            Err(_) => Err(format!("headers: '{name}' is not a header's name")),
        };
        let mut changes = Self { remove: Vec::new(), set: Vec::new() };
        for field in &settings.remove {
            name(field).map_or_else(|message| wrong.push(message), |name| changes.remove.push(name));
        }
        for (field, text) in &settings.set {
            let template = Template::parse(text, variables).map_err(|error| format!("headers: '{field}': {error}"));
            match (name(field), template) {
                (Ok(name), Ok(template)) => changes.set.push((name, template)),
                (Err(message), _) | (_, Err(message)) => wrong.push(message),
            }
        }
        changes
    }

    async fn apply(&self, worker: &Worker, headers: &mut HeaderMap, variables: &Variables) -> Result<(), Error> {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, template) in &self.set {
            let what = || format!("header '{name}'");
            match variables.evaluate(worker, template, &what()).await? {
                Value::Null => drop(headers.remove(name)),
                value => {
                    let value = HeaderValue::from_str(&value.to_text()).map_err(|error| failed(&what(), error))?;
                    headers.insert(name, value);
                }
            }
        }
        Ok(())
    }
}

/// Names only: a value may be a secret.
fn describe_changes(settings: &snapshot::Changes) -> serde_json::Value {
    json!({"remove": settings.remove, "set": settings.set.keys().collect::<Vec<_>>()})
}

/// Whether some expression looks at a variable. What only looks so costs time and nothing else.
fn names(variable: &str, settings: &impl std::fmt::Debug) -> bool {
    format!("{settings:?}").contains(variable)
}
