//! One question to an issuer, through its cluster, and what can be believed of the answer (RFC 7662 §2).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Map, Value};

use super::answers::Heard;
use super::INTROSPECTION;
use crate::cluster::call::Outcome;
use crate::error::Kind;
use crate::keys::json;
use crate::policy::authenticate::client::{form, Client};
use crate::policy::authenticate::issuer::endpoint::Endpoint;
use crate::policy::authenticate::issuer::Issuer;
use crate::policy::authenticate::jwt::now;
use crate::snapshot::Remember;
use crate::worker::Worker;

/// A longer answer says nothing.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// How deep it may be nested.
pub const ANSWER_DEPTH: usize = 16;
/// How often a question is sent where a connection breaks: an endpoint may close one that it has kept at any time.
const TRIES: usize = 2;

pub struct Question {
    pub issuer: Arc<Issuer>,
    pub client: Client,
    pub timeout: Duration,
    pub remember: Remember,
}

impl Question {
    /// What the issuer says of the token; why it says nothing is for the log.
    pub async fn ask(&self, token: &str, worker: &Rc<Worker>) -> Result<Heard, String> {
        let deadline = Instant::now() + self.timeout;
        let endpoint = self.endpoint(deadline, worker).await?;
        let mut cause = String::new();
        for _ in 0..TRIES {
            let proved = self.client.prove(&endpoint.url)?;
            let pairs = [("token", token), ("token_type_hint", "access_token")].into_iter().chain(proved.pairs());
            let (body, authorization) = (form(pairs), proved.authorization.clone());
            match endpoint.post(body, authorization, self.timeout, deadline, worker).await {
                Outcome::Answered { status: StatusCode::OK, body, .. } => {
                    let claims = read(&body).map_err(str::to_owned)?;
                    return Ok(Heard { claims: claims.map(Arc::new), at: now() });
                }
                Outcome::Answered { status, .. } => return Err(format!("the endpoint answered {status}")),
                Outcome::Unanswered { error, .. } => {
                    cause = error.to_string();
                    if error.kind == Kind::DeadlineExceeded || Instant::now() >= deadline {
                        break;
                    }
                }
            }
        }
        Err(cause)
    }

    async fn endpoint(&self, deadline: Instant, worker: &Rc<Worker>) -> Result<Arc<Endpoint>, String> {
        if let Some(endpoint) = self.issuer.endpoint(INTROSPECTION) {
            return Ok(endpoint);
        }
        self.issuer.fetch(&worker.shared.callouts, deadline).await;
        let unknown = || format!("it is not known where '{}' answers", self.issuer.name);
        self.issuer.endpoint(INTROSPECTION).ok_or_else(unknown)
    }
}

/// None: it is not active.
fn read(body: &[u8]) -> Result<Option<Map<String, Value>>, &'static str> {
    if body.len() > ANSWER_BYTES {
        return Err("the answer is too long");
    }
    let Ok(Value::Object(mut answer)) = json::parse(body, ANSWER_DEPTH) else {
        return Err("the answer is not one JSON object");
    };
    match answer.remove("active") {
        Some(Value::Bool(true)) => Ok(Some(answer)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err("the answer does not say whether the token is active"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_strictly() {
        let claims = read(br#"{"active":true,"sub":"7","x":{"y":[1]}}"#);
        assert_eq!(claims.map(|claims| claims.map(|claims| claims.len())), Ok(Some(2)));
        assert_eq!(read(br#"{"active":false,"sub":"7"}"#), Ok(None));
        let deep = format!("{{\"active\":true,\"a\":{}1{}}}", "[".repeat(20), "]".repeat(20));
        let long = format!("{{\"active\":true,\"a\":\"{}\"}}", "a".repeat(ANSWER_BYTES));
        let wrong = ["", "[]", "true", "{}", r#"{"active":"true"}"#, r#"{"active":1}"#, r#"{"active":null}"#];
        let twice = [r#"{"active":false,"active":true}"#, r#"{"active":true} {}"#, "<html>"];
        for text in wrong.into_iter().chain(twice).chain([&*deep, &*long]) {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
