//! Signed tokens of issuers that we know (RFC 7519, RFC 9068), as bearer tokens (RFC 6750), by the practice of RFC 8725.

mod bound;
pub mod rules;
pub mod token;
pub mod verified;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::AUTHORIZATION;
use http::HeaderValue;
use serde_json::{json, Value};

use self::rules::Rules;
use self::token::Token;
use self::verified::{Name, Verified};
use super::claims::{Claims, Wrong};
use super::issuer::live::Fetched;
use super::issuer::{Issuer, Signature};
use super::{bearer, Consumer, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::snapshot;
use crate::worker::Worker;

pub struct Jwt {
    issuers: Vec<Arc<Issuer>>,
    types: Vec<String>,
    rules: Rules,
    claims: Claims,
    max_bytes: usize,
    forward: bool,
    bound: bound::Required,
    audience: Vec<String>,
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
    name: Name,
    issuer: usize,
}

impl Jwt {
    pub fn new(settings: &snapshot::Jwt, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut issuers = Vec::new();
        for name in &settings.issuers {
            match context.issuers.get(name) {
                Some(issuer) => issuers.push(issuer.clone()),
                None => errors.push(format!("there is no issuer '{name}', or it is wrong itself")),
            }
        }
        let mut wrong = Vec::new();
        let claims = Claims::new(&settings.claims, &mut wrong);
        errors.extend(wrong.into_iter().map(|wrong| format!("jwt: {wrong}")));
        match errors.is_empty() {
            true => Ok(Self {
                issuers,
                types: settings.types.clone(),
                rules: Rules::new(&settings.audience, settings.skew_s, &settings.required),
                claims,
                max_bytes: settings.max_bytes,
                forward: settings.forward,
                bound: match settings.bound {
                    None => bound::Required::Nothing,
                    Some(snapshot::Bound::Mtls) => bound::Required::Certificate,
                },
                audience: settings.audience.clone(),
                verified: Verified::default(),
            }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let issuers: Vec<&str> = self.issuers.iter().map(|issuer| &*issuer.name).collect();
        json!({"jwt": {"issuers": issuers, "audience": self.audience}})
    }

    pub fn challenge(&self) -> HeaderValue {
        bearer::CHALLENGE
    }

    pub fn look<'a>(&self, exchange: &Exchange, head: &'a RequestHead) -> Looked<'a> {
        let text = match bearer::of(head) {
            Ok(text) => text,
            Err(verdict) => return Looked::Decided(verdict),
        };
        if text.len() > self.max_bytes {
            return Looked::Decided(bearer::invalid("jwt: it is longer than max_bytes"));
        }
        let now = now();
        let name = verified::name(text);
        if let Some(consumer) = self.verified.find(&name, now, |issuer| self.issuers[issuer].generation()) {
            return Looked::Decided(self.proved(consumer, exchange));
        }
        let token = match Token::parse(text) {
            None => return Looked::Decided(Verdict::NotMine),
            Some(Err(wrong)) => return Looked::Decided(invalid(wrong)),
            Some(Ok(token)) => token,
        };
        // Not believed yet: it only says whose keys are to verify it.
        let says = token.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some(issuer) = self.issuers.iter().position(|issuer| *issuer.issuer == *says) else {
            return Looked::Decided(Verdict::NotMine);
        };
        self.decide(Presented { token, name, issuer }, exchange, now)
    }

    /// Waits for the keys that the issuer publishes now.
    pub async fn wait(
        &self,
        presented: Presented<'_>,
        exchange: &Exchange,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        let issuer = &self.issuers[presented.issuer];
        let fetched = issuer.fetch(&worker.shared.callouts, exchange.deadline).await;
        match (self.decide(presented, exchange, now()), fetched) {
            (Looked::Decided(verdict), _) => Ok(verdict),
            (Looked::UnknownKey(_), Fetched::Failed) => {
                Err(Error::new(Kind::AuthenticationUnavailable, "Whether the token is valid cannot be decided now")
                    .cause(format!("jwt: the keys of the issuer '{}' cannot be fetched", issuer.name)))
            }
            (Looked::UnknownKey(_), _) => Ok(invalid("no key of its issuer verifies it")),
        }
    }

    fn decide<'a>(&self, presented: Presented<'a>, exchange: &Exchange, now: f64) -> Looked<'a> {
        let issuer = &self.issuers[presented.issuer];
        // Before the keys: what they verify may be older than what is there when the token is remembered.
        let generation = issuer.generation();
        match self.verify(&presented.token, issuer) {
            Err(wrong) => return Looked::Decided(invalid(wrong)),
            Ok(Signature::Invalid) => return Looked::Decided(invalid("no key of its issuer verifies it")),
            Ok(Signature::UnknownKey) => return Looked::UnknownKey(presented),
            Ok(Signature::Valid) => {}
        }
        let Presented { token, name, issuer: index } = presented;
        let until = self.rules.check(&token.claims, now);
        let known = until.and_then(|until| Ok((until, self.claims.consumer(&issuer.name, token.claims, "jwt")?)));
        Looked::Decided(match known {
            Err(wrong) => invalid(wrong),
            Ok((until, consumer)) => {
                let consumer: Arc<Consumer> = Arc::new(consumer);
                self.verified.remember(name, consumer.clone(), (index, generation), until, now);
                self.proved(consumer, exchange)
            }
        })
    }

    /// Possession is proved anew with every request.
    fn proved(&self, consumer: Arc<Consumer>, exchange: &Exchange) -> Verdict {
        match bound::check(&consumer.claims, exchange, self.bound) {
            Ok(()) => Verdict::Known(consumer),
            Err(wrong) => invalid(wrong),
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

    pub fn remove(&self, head: &mut RequestHead) {
        self.claims.remove(&mut head.headers);
        let carries = head.headers.get(AUTHORIZATION).is_some_and(|field| bearer::token(field.as_bytes()).is_some());
        if carries && !self.forward {
            head.headers.remove(AUTHORIZATION);
        }
    }
}

/// Seconds since 1970.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Which check it was is for the log: an attacker need not know.
fn invalid(wrong: Wrong) -> Verdict {
    bearer::invalid(format!("jwt: {wrong}"))
}
