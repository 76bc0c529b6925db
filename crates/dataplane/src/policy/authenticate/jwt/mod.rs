//! Signed tokens of issuers that we know (RFC 7519, RFC 9068), as bearer tokens (RFC 6750), by the practice of RFC 8725.

pub mod rules;
pub mod token;
pub mod verified;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use serde_json::{Map, Value};

use self::token::Token;
use self::verified::Verified;
use super::access_token::presented;
use super::access_token::AccessTokens;
use super::claims::Wrong;
use super::issuer::live::Fetched;
use super::issuer::{Issuer, Signature};
use super::{Consumer, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::shared::Shared;
use crate::snapshot;
use crate::worker::Worker;

const UNVERIFIED: Wrong = "no key of its issuer verifies it";

pub struct Jwt {
    issuers: Vec<Arc<Issuer>>,
    types: Vec<String>,
    pub tokens: AccessTokens,
    verified: Verified,
}

/// What can be said without waiting.
// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Looked<'a> {
    Decided(Verdict),
    /// Its issuer may have keys that are not known yet.
    UnknownKey(Presented<'a>),
}

/// A token whose signature is not verified, of one of our issuers by its own word.
pub struct Presented<'a> {
    token: Token<'a>,
    as_is: presented::Presented<'a>,
    issuer: usize,
}

impl Jwt {
    pub fn new(settings: &snapshot::Jwt, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut issuers = Vec::new();
        for name in &settings.issuers {
            match context.issuers.get(name) {
                Some(issuer) if issuer.algorithms.is_empty() => {
                    errors.push(format!("jwt: the issuer '{name}' has no keys, so it could verify no token"));
                }
                Some(issuer) => issuers.push(issuer.clone()),
                None => errors.push(format!("there is no issuer '{name}', or it is wrong itself")),
            }
        }
        let mut wrong = Vec::new();
        let tokens = AccessTokens::new("jwt", &settings.access_token(), context, &mut wrong);
        errors.extend(wrong.into_iter().map(|wrong| format!("jwt: {wrong}")));
        match errors.is_empty() {
            true => Ok(Self { issuers, types: settings.types.clone(), tokens, verified: Verified::default() }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let issuers: Vec<&str> = self.issuers.iter().map(|issuer| &*issuer.name).collect();
        let mut parts = Map::from_iter([("issuers".to_owned(), Value::from(issuers))]);
        parts.extend(self.tokens.describe());
        Value::from_iter([("jwt", parts)])
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
        let as_is = match self.tokens.presented(head) {
            Ok(presented) => presented,
            Err(verdict) => return Ok(Looked::Decided(verdict)),
        };
        let now = now();
        if let Some(consumer) = self.verified.find(&as_is.digest, now, |issuer| self.issuers[issuer].generation()) {
            return self.tokens.prove(consumer, &as_is, exchange, head, shared, now).map(Looked::Decided);
        }
        let token = match Token::parse(as_is.text) {
            None => return Ok(Looked::Decided(Verdict::NotMine)),
            Some(Err(wrong)) => return Ok(Looked::Decided(self.tokens.invalid(as_is.way, wrong))),
            Some(Ok(token)) => token,
        };
        // Not believed yet: it only says whose keys are to verify it.
        let says = token.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some(issuer) = self.issuers.iter().position(|issuer| *issuer.issuer == *says) else {
            return Ok(Looked::Decided(Verdict::NotMine));
        };
        self.decide(Presented { token, as_is, issuer }, exchange, head, shared, now)
    }

    /// Waits for the keys that the issuer publishes now.
    pub async fn wait(
        &self,
        presented: Presented<'_>,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        let (issuer, way) = (&self.issuers[presented.issuer], presented.as_is.way);
        let fetched = issuer.fetch(&worker.shared.callouts, exchange.deadline).await;
        match (self.decide(presented, exchange, head, &worker.shared, now())?, fetched) {
            (Looked::Decided(verdict), _) => Ok(verdict),
            (Looked::UnknownKey(_), Fetched::Failed) => {
                Err(Error::new(Kind::AuthenticationUnavailable, "Whether the token is valid cannot be decided now")
                    .cause(format!("jwt: the keys of the issuer '{}' cannot be fetched", issuer.name)))
            }
            (Looked::UnknownKey(_), _) => Ok(self.tokens.invalid(way, UNVERIFIED)),
        }
    }

    fn decide<'a>(
        &self,
        presented: Presented<'a>,
        exchange: &mut Exchange,
        head: &RequestHead,
        shared: &Shared,
        now: f64,
    ) -> Result<Looked<'a>, Error> {
        let (issuer, way) = (&self.issuers[presented.issuer], presented.as_is.way);
        let invalid = |wrong| Ok(Looked::Decided(self.tokens.invalid(way, wrong)));
        // Before the keys: what they verify may be older than what is there when the token is remembered.
        let generation = issuer.generation();
        match self.verify(&presented.token, issuer) {
            Err(wrong) => return invalid(wrong),
            Ok(Signature::Invalid) => return invalid(UNVERIFIED),
            Ok(Signature::UnknownKey) => return Ok(Looked::UnknownKey(presented)),
            Ok(Signature::Valid) => {}
        }
        let Presented { token, as_is, issuer: index } = presented;
        let until = self.tokens.rules.check(&token.claims, now);
        match until.and_then(|until| Ok((until, self.tokens.consumer(&issuer.name, token.claims)?))) {
            Err(wrong) => invalid(wrong),
            Ok((until, mut consumer)) => {
                self.tokens.keep(&mut consumer, &as_is);
                let consumer: Arc<Consumer> = Arc::new(consumer);
                self.verified.remember(as_is.digest, consumer.clone(), (index, generation), until, now);
                self.tokens.prove(consumer, &as_is, exchange, head, shared, now).map(Looked::Decided)
            }
        }
    }

    fn verify(&self, token: &Token<'_>, issuer: &Issuer) -> Result<Signature, Wrong> {
        if !issuer.algorithms.contains(&token.algorithm) {
            return Err("its issuer does not sign with its alg");
        }
        if !self.types.is_empty() {
            let kind = token.kind.as_deref().unwrap_or_default().to_ascii_lowercase();
            let kind = kind.strip_prefix("application/").unwrap_or(&kind);
            if !self.types.iter().any(|wanted| wanted == kind) {
                return Err("its typ is another");
            }
        }
        Ok(issuer.verify(token.key.as_deref(), token.algorithm, token.signed, &token.signature))
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
