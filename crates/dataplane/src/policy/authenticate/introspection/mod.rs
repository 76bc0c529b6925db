//! Tokens that their issuer is asked about (RFC 7662): opaque ones, and all that can be revoked.

pub mod answers;
mod attempts;
mod question;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value};

use self::answers::{Answers, Heard};
use self::attempts::Attempts;
use self::question::Question;
use super::access_token::presented::Presented;
use super::access_token::AccessTokens;
use super::claims::Wrong;
use super::client::Client;
use super::jwt::now;
use super::jwt::verified::Verified;
use super::{Consumer, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::shared::Shared;
use crate::snapshot;
use crate::worker::Worker;

/// The endpoint's name in the metadata, without `_endpoint`.
const INTROSPECTION: &str = "introspection";

pub struct Introspection {
    pub tokens: AccessTokens,
    question: Arc<Question>,
    types: Vec<String>,
    /// Of the issuer, whatever the route.
    answers: Arc<Answers>,
    /// What this policy has made of them.
    verified: Verified,
    attempts: Attempts,
}

/// What can be said without waiting.
// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Looked<'a> {
    Decided(Verdict),
    Unknown(Presented<'a>),
}

impl Introspection {
    pub fn new(settings: &snapshot::Introspection, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let (mut errors, shared) = (Vec::new(), context.shared);
        let tokens = AccessTokens::new("introspection", &settings.token, context, &mut errors);
        let client = Client::new(&settings.client_id, settings.client_secret.as_ref(), settings.client_authentication);
        let client = client.map_err(|wrong| errors.push(wrong)).ok();
        let attempts = Attempts::new(&shared.limiter).map_err(|wrong| errors.push(wrong)).ok();
        let issuer = context.issuers.get(&settings.issuer).cloned();
        match &issuer {
            None => errors.push(format!("there is no issuer '{}', or it is wrong itself", settings.issuer)),
            Some(issuer) if issuer.live().is_none() && issuer.endpoint(INTROSPECTION).is_none() => {
                errors.push(format!("the issuer '{}' has no introspection endpoint", issuer.name));
            }
            Some(_) => {}
        }
        match (issuer, client, attempts) {
            (Some(issuer), Some(client), Some(attempts)) if errors.is_empty() => {
                let place = issuer.endpoint(INTROSPECTION).map(|endpoint| endpoint.url.clone()).unwrap_or_default();
                let identity = format!("{} {} {} {place}", issuer.name, issuer.issuer, client.id);
                Ok(Self {
                    tokens,
                    answers: shared.introspections.of(&identity),
                    question: Arc::new(Question {
                        issuer,
                        client,
                        timeout: Duration::from_millis(settings.timeout_ms),
                        remember: settings.remember,
                    }),
                    types: settings.types.clone(),
                    verified: Verified::default(),
                    attempts,
                })
            }
            _ => Err(errors.into_iter().map(|wrong| format!("introspection: {wrong}")).collect()),
        }
    }

    pub fn describe(&self) -> Value {
        let mut parts = Map::from_iter([("issuer".to_owned(), Value::from(&*self.question.issuer.name))]);
        parts.extend(self.tokens.describe());
        Value::from_iter([("introspection", parts)])
    }

    pub fn challenges(&self) -> Vec<HeaderValue> {
        self.tokens.challenges()
    }

    pub fn look<'a>(
        &self,
        exchange: &mut Exchange,
        head: &'a RequestHead,
        shared: &Shared,
    ) -> Result<Looked<'a>, Error> {
        let presented = match self.tokens.presented(head) {
            Ok(presented) => presented,
            Err(verdict) => return Ok(Looked::Decided(verdict)),
        };
        let now = now();
        if let Some(consumer) = self.verified.find(&presented.digest, now, |_| 0) {
            return self.tokens.prove(consumer, &presented, exchange, head, shared, now).map(Looked::Decided);
        }
        match self.answers.find(&presented.digest, &self.question.remember, now) {
            Some(heard) => self.judge(heard, &presented, exchange, head, shared).map(Looked::Decided),
            None => Ok(Looked::Unknown(presented)),
        }
    }

    /// Asks the issuer, or waits for the answer to whoever has asked about the same token.
    pub async fn ask(
        &self,
        presented: Presented<'_>,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        let shared = &worker.shared;
        // Also a token that is no text may not be.
        let token = match std::str::from_utf8(presented.text) {
            Ok(token) if !token.is_empty() => token.to_owned(),
            _ => return Ok(self.tokens.invalid(presented.way, "it is no text")),
        };
        self.attempts.allow(exchange.client, &shared.limiter)?;
        let unavailable = |cause: String| {
            Error::new(Kind::AuthenticationUnavailable, "Whether the token is valid cannot be decided now")
                .cause(format!("introspection: {cause}"))
        };
        let Some(turn) = self.answers.turn(&presented.digest) else {
            return Err(Error::new(Kind::Overloaded, "Too many tokens are asked about")
                .cause("introspection: questions under way"));
        };
        // A task of its own: a client that goes away must not take the answer from those who wait for it too.
        let (question, answers, digest, asking) =
            (self.question.clone(), self.answers.clone(), presented.digest, worker.clone());
        let task = tokio::task::spawn_local(async move {
            let mut heard = turn.lock().await;
            if let Some(heard) = &*heard {
                return heard.clone();
            }
            let outcome = question.ask(&token, &asking).await;
            answers.end(digest, outcome.as_ref().ok(), &question.remember);
            heard.insert(outcome).clone()
        });
        let heard = match tokio::time::timeout_at(exchange.deadline.into(), task).await {
            Ok(Ok(Ok(heard))) => heard,
            Ok(Ok(Err(cause))) => return Err(unavailable(cause)),
            Ok(Err(_)) => return Err(unavailable("a panic".to_owned())),
            Err(_) => return Err(unavailable("the request's time has ended".to_owned())),
        };
        if heard.claims.is_none() {
            self.attempts.count(exchange.client, &shared.limiter);
        }
        self.judge(heard, &presented, exchange, head, shared)
    }

    fn judge(
        &self,
        heard: Heard,
        presented: &Presented<'_>,
        exchange: &mut Exchange,
        head: &RequestHead,
        shared: &Shared,
    ) -> Result<Verdict, Error> {
        let Some(claims) = &heard.claims else {
            return Ok(self.tokens.invalid(presented.way, "its issuer says that it is not active"));
        };
        let (now, until) = (now(), heard.until(&self.question.remember));
        match self.consumer(claims, now) {
            Err(wrong) => Ok(self.tokens.invalid(presented.way, wrong)),
            Ok(mut consumer) => {
                self.tokens.keep(&mut consumer, presented);
                let consumer = Arc::new(consumer);
                self.verified.remember(presented.digest, consumer.clone(), (0, 0), until, now);
                self.tokens.prove(consumer, presented, exchange, head, shared, now)
            }
        }
    }

    /// What an answer must say for the token to be good here (§2.2, §4).
    fn consumer(&self, claims: &Map<String, Value>, now: f64) -> Result<Consumer, Wrong> {
        let issuer = &self.question.issuer;
        if claims.get("iss").is_some_and(|said| said.as_str() != Some(&*issuer.issuer)) {
            return Err("it is of another issuer");
        }
        let kind = claims.get("token_type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if !self.types.is_empty() && !self.types.contains(&kind) {
            return Err("its token_type is another");
        }
        let bound = claims.get("cnf").and_then(|cnf| cnf.get("jkt")).is_some();
        if kind == "dpop" && !bound {
            return Err("it needs a proof, and does not say of which key");
        }
        self.tokens.rules.check_known(claims, now)?;
        self.tokens.consumer(&issuer.name, claims.clone())
    }
}
