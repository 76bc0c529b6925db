//! The way back from the provider: the browser brings a code, which must belong to an attempt of its own and come from
//! the provider that the attempt went to (RFC 6749 §4.1.2, RFC 9207); the code becomes a session.

use std::borrow::Cow;
use std::rc::Rc;

use http::{header, HeaderValue, Method, Response, StatusCode};
use subtle::ConstantTimeEq;

use super::attempt::{self, Attempt, ATTEMPT_S};
use super::navigation::own_path;
use super::provider::Failed;
use super::session::Session;
use super::{now, redirect, Oidc, ATTEMPT};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::authenticate::issuer::token_endpoint::printable;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::route::condition::{form_decoded, pairs};
use crate::worker::Worker;

/// Longer codes are no codes.
const CODE_BYTES: usize = 4096;

impl Oidc {
    pub(super) async fn callback(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Response<Body>, Error> {
        if head.method != Method::GET {
            let error = Error::new(Kind::MethodNotAllowed, "A login comes back with GET");
            return Err(error.header(header::ALLOW, HeaderValue::from_static("GET")));
        }
        let (secure, now) = (self.is_secure(exchange), now());
        let answer = Answer::read(exchange.query().unwrap_or_default()).ok_or_else(|| lost("a wrong query"))?;
        let attempt = self.attempt(&answer.state, head, secure, now).map_err(lost)?;
        // From here on it is this browser's own attempt: whatever happens, it happens once.
        let sessions = &worker.shared.sessions;
        if !sessions.spend(&attempt.state, now.saturating_add(ATTEMPT_S), now) {
            return Err(lost("the attempt was used before"));
        }
        let finished = self.finish(&attempt, answer, now, worker).await;
        if finished.as_ref().is_err_and(|error| error.kind == Kind::AuthenticationUnavailable) {
            sessions.unspend(&attempt.state);
        } else {
            exchange.set_cookies.extend(self.cookies.end_attempt(secure, attempt.id()));
        }
        exchange.set_cookies.extend(self.sealed(&finished?, head, secure, now)?);
        redirect(StatusCode::FOUND, own_path(&attempt.back))
    }

    fn attempt(&self, state: &str, head: &RequestHead, secure: bool, now: u64) -> Result<Attempt, &'static str> {
        let id = attempt::id(state).ok_or("a state that is none of ours")?;
        let text = self.cookies.attempt(&head.headers, secure, id).ok_or("no attempt of this browser has its state")?;
        let plain = self.seal.open(ATTEMPT, text).ok_or("the attempt's cookie does not open")?;
        let attempt: Attempt = serde_json::from_slice(&plain).map_err(|_| "the attempt's cookie is damaged")?;
        if !bool::from(attempt.state.as_bytes().ct_eq(state.as_bytes())) {
            return Err("another state than the attempt's");
        }
        match now < attempt.began.saturating_add(ATTEMPT_S) {
            true => Ok(attempt),
            false => Err("the attempt is too old"),
        }
    }

    async fn finish(&self, attempt: &Attempt, answer: Answer, now: u64, worker: &Rc<Worker>) -> Result<Session, Error> {
        let provider = &self.provider;
        match &answer.issuer {
            Some(issuer) if **issuer != *provider.issuer.issuer => return Err(lost("the answer is of another issuer")),
            None if self.settings.require_iss => return Err(lost("the answer does not name its issuer")),
            _ => {}
        }
        let code = match answer.outcome {
            Outcome::Code(code) => code,
            Outcome::Error(error) => return Err(declined(&error)),
        };
        let tokens =
            provider.exchange(&code, &attempt.verifier, &attempt.redirect_uri, worker).await.map_err(failure)?;
        let id_token = tokens.id_token.clone().ok_or_else(|| refused("oidc: the provider sent no ID token"))?;
        provider.verify(&id_token, Some(&attempt.nonce), &tokens.access_token, worker).await.map_err(failure)?;
        Session::begin(tokens, id_token, now)
            .ok_or_else(|| Error::new(Kind::Internal, "The session cannot begin").cause("oidc: no randomness"))
    }
}

/// What the browser brings.
struct Answer {
    state: String,
    issuer: Option<String>,
    outcome: Outcome,
}

enum Outcome {
    Code(String),
    Error(String),
}

impl Answer {
    /// None: a parameter is missing, given twice (RFC 6749 §3.1), not text, or too long.
    fn read(query: &str) -> Option<Self> {
        let mut found: [Option<String>; 4] = [None, None, None, None];
        for (name, value) in pairs(query) {
            let name: Vec<u8> = form_decoded(name).collect();
            let Some(index) = ["state", "iss", "code", "error"].iter().position(|wanted| wanted.as_bytes() == name)
            else {
                continue;
            };
            let value = String::from_utf8(form_decoded(value).collect()).ok()?;
            if value.len() > CODE_BYTES || found[index].replace(value).is_some() {
                return None;
            }
        }
        let [state, issuer, code, error] = found;
        let outcome = match (code, error) {
            (Some(code), None) => Outcome::Code(code),
            (None, Some(error)) => Outcome::Error(error),
            _ => return None,
        };
        Some(Self { state: state?, issuer, outcome })
    }
}

/// It is not this browser's login, or not any more. Not a redirect: that could go on for ever.
fn lost(cause: &'static str) -> Error {
    Error::new(Kind::BadRequest, "This login cannot be continued: begin again").cause(format!("oidc: {cause}"))
}

fn refused(cause: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Kind::Forbidden, "The provider's answer is not taken").cause(cause.into())
}

pub(super) fn unavailable(cause: String) -> Error {
    Error::new(Kind::AuthenticationUnavailable, "The provider of logins cannot be asked now").cause(cause)
}

pub(super) fn failure(failed: Failed) -> Error {
    match failed {
        Failed::Refused(cause) => refused(cause),
        Failed::Unavailable(cause) => unavailable(cause),
    }
}

/// RFC 6749 §4.1.2.1.
fn declined(error: &str) -> Error {
    let cause = format!("oidc: the provider answered {}", printable(error));
    match error {
        "server_error" | "temporarily_unavailable" => unavailable(cause),
        _ => Error::new(Kind::Forbidden, "The provider did not log in the user").cause(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_state_and_either_a_code_or_an_error_each_once() {
        let answer = Answer::read("code=a%2Bb+c&state=s&iss=https%3A%2F%2Fi&session_state=x").expect("an answer");
        assert!(matches!(answer.outcome, Outcome::Code(code) if code == "a+b c"));
        assert_eq!((answer.state.as_str(), answer.issuer.as_deref()), ("s", Some("https://i")));
        let long = format!("state=s&code={}", "a".repeat(CODE_BYTES + 1));
        for wrong in [
            "",
            "code=a",
            "state=s",
            "state=s&code=a&error=b",
            "state=s&state=s&code=a",
            "state=s&code=a&code=a",
            "state=s&code=a&iss=i&iss=i",
            "state=s&code=%FF",
            &long,
            "state=s&%63ode=a&code=b",
        ] {
            assert!(Answer::read(wrong).is_none(), "{wrong}");
        }
    }
}
