//! Signed tokens of issuers that we know (RFC 7519, RFC 9068), as bearer tokens (RFC 6750), by the practice of RFC 8725.

mod bound;
pub mod claims;
pub mod issuer;
pub mod token;
pub mod verified;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::AUTHORIZATION;
use http::HeaderValue;
use serde_json::{json, Value};

use self::claims::{Rules, Subject};
use self::issuer::Issuer;
use self::token::{Token, Wrong};
use self::verified::Verified;
use super::consumer::Facts;
use super::{Consumer, Refusal, Verdict};
use crate::error::Kind;
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::snapshot;

pub struct Jwt {
    issuers: Vec<Arc<Issuer>>,
    types: Vec<String>,
    rules: Rules,
    max_bytes: usize,
    forward: bool,
    bound: bound::Required,
    audience: Vec<String>,
    verified: Verified,
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
        let rules = Rules::new(settings, &mut errors);
        match errors.is_empty() {
            true => Ok(Self {
                issuers,
                types: settings.types.clone(),
                rules,
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
        HeaderValue::from_static("Bearer realm=\"stagedoor\"")
    }

    pub fn recognise(&self, exchange: &Exchange, head: &RequestHead) -> Verdict {
        let mut fields = head.headers.get_all(AUTHORIZATION).iter();
        let (Some(field), more) = (fields.next(), fields.next()) else { return Verdict::Absent };
        let Some(text) = bearer(field.as_bytes()) else { return Verdict::Absent };
        if more.is_some() {
            return Verdict::Refused(Refusal {
                kind: Kind::BadRequest,
                detail: "The request carries more than one credential",
                challenge: Some(HeaderValue::from_static("Bearer realm=\"stagedoor\", error=\"invalid_request\"")),
                cause: None,
            });
        }
        if text.len() > self.max_bytes {
            return invalid("it is longer than max_bytes");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let name = verified::name(text);
        if let Some(consumer) = self.verified.find(&name, now) {
            return self.proved(consumer, exchange);
        }
        let token = match Token::parse(text) {
            None => return Verdict::NotMine,
            Some(Err(wrong)) => return invalid(wrong),
            Some(Ok(token)) => token,
        };
        // Not believed yet: it only says whose keys are to verify it.
        let says = token.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some(issuer) = self.issuers.iter().find(|issuer| *issuer.issuer == *says) else {
            return Verdict::NotMine;
        };
        match self.verify(token, issuer, now) {
            Err(wrong) => invalid(wrong),
            Ok((consumer, until)) => {
                let consumer = Arc::new(consumer);
                self.verified.remember(name, consumer.clone(), until, now);
                self.proved(consumer, exchange)
            }
        }
    }

    /// Possession is proved anew with every request.
    fn proved(&self, consumer: Arc<Consumer>, exchange: &Exchange) -> Verdict {
        match bound::check(&consumer.claims, exchange, self.bound) {
            Ok(()) => Verdict::Known(consumer),
            Err(wrong) => invalid(wrong),
        }
    }

    fn verify(&self, token: Token<'_>, issuer: &Issuer, now: f64) -> Result<(Consumer, f64), Wrong> {
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
        let verified = issuer.keys.verify(token.key.as_deref(), token.algorithm, token.signed, &token.signature);
        if !matches!(verified, Ok(Ok(_))) {
            return Err("no key of its issuer verifies it");
        }
        let Subject { name, groups, scopes, until } = self.rules.check(&token.claims, now)?;
        // With its issuer's name, so that no token can be anybody whom the configuration or another issuer knows.
        let name = format!("{}/{name}", issuer.name);
        let facts = Facts { groups: &groups, scopes: &scopes, plan: None, scheme: "jwt" };
        let mut consumer = Consumer::proved(&name, &facts, None);
        consumer.claims = Value::Object(token.claims);
        Ok((consumer, until))
    }

    pub fn remove(&self, head: &mut RequestHead) {
        let carries = head.headers.get(AUTHORIZATION).is_some_and(|field| bearer(field.as_bytes()).is_some());
        if carries && !self.forward {
            head.headers.remove(AUTHORIZATION);
        }
    }
}

/// What follows `Bearer` and spaces (RFC 6750 §2.1). Its form is the token's own business; nothing at all is a token too,
/// and a wrong one.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(6)?;
    let ends = token.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
}

/// RFC 6750 §3.1. Which check it was is for the log: an attacker need not know.
fn invalid(wrong: Wrong) -> Verdict {
    Verdict::Refused(Refusal {
        kind: Kind::Unauthorized,
        detail: "The token is not valid",
        challenge: Some(HeaderValue::from_static("Bearer realm=\"stagedoor\", error=\"invalid_token\"")),
        cause: Some(format!("jwt: {wrong}")),
    })
}
