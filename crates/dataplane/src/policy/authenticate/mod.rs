//! Who calls: the consumer whose credential the request carries. Fails closed with 401.

pub mod access_token;
pub mod api_key;
pub mod basic;
pub mod claims;
pub mod client;
pub mod consumer;
pub mod credential;
pub mod dpop;
pub mod explain;
pub mod introspection;
pub mod issuer;
pub mod jwt;
pub mod mtls;
pub mod oidc;
pub mod registry;
pub mod replay;
pub mod scheme;
pub mod signature;
pub mod webhook;

use std::rc::Rc;
use std::sync::Arc;

use http::{header, HeaderValue};
use serde_json::{json, Value};

pub use basic::{Users, Verifier};
pub use consumer::{Consumer, Credentials, Digest};
pub use credential::{Credential, LastUsed};
pub use registry::Registry;
pub use replay::Replays;
pub use scheme::{Refusal, Scheme, Verdict};
pub use signature::SignatureKeys;

pub use mtls::Certificates;

use consumer::Facts;

use super::{Context, Flow, RequestHead, ResponseHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

pub struct Authenticate {
    mode: Mode,
    schemes: Vec<Scheme>,
    /// Who it is that presents nothing.
    anonymous: Option<Arc<Consumer>>,
    /// Of a 401, in the order of the schemes.
    challenges: Vec<Vec<HeaderValue>>,
    /// A parameter that says where tokens come from (RFC 9728 §5.1), for challenges that ask for one.
    resource_metadata: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Any,
    All,
}

impl Authenticate {
    pub fn new(settings: &snapshot::Authenticate, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut schemes = Vec::new();
        for settings in settings.schemes() {
            match Scheme::new(settings, context) {
                Ok(scheme) => schemes.push(scheme),
                Err(mut wrong) => errors.append(&mut wrong),
            }
        }
        let mode = match (settings.any.is_empty(), settings.all.is_empty()) {
            (true, false) => Mode::All,
            (false, true) => Mode::Any,
            (true, true) => {
                errors.push("it lists no way to authenticate, so nobody could".to_owned());
                Mode::Any
            }
            (false, false) => {
                errors.push("'any' and 'all' do not go together".to_owned());
                Mode::All
            }
        };
        let anonymous = settings.anonymous.as_ref().map(|settings| anonymous(settings, context, &mut errors));
        if !errors.is_empty() {
            return Err(errors);
        }
        let challenges = schemes.iter().map(Scheme::challenges).collect();
        let resource_metadata = settings.resource_metadata.as_ref().map(|url| format!(", resource_metadata=\"{url}\""));
        Ok(Self { mode, schemes, anonymous, challenges, resource_metadata })
    }

    pub fn describe(&self) -> Value {
        let schemes: Vec<Value> = self.schemes.iter().map(Scheme::describe).collect();
        let mode = if self.mode == Mode::Any { "any" } else { "all" };
        let mut description = json!({mode: schemes});
        if let Some(anonymous) = &self.anonymous {
            description["anonymous"] =
                json!({"groups": anonymous.groups, "scopes": anonymous.scopes, "plan": anonymous.plan.as_deref()});
        }
        if let Some(parameter) = &self.resource_metadata {
            description["resource_metadata"] = parameter.split('"').nth(1).into();
        }
        description
    }

    /// Of `any`, the first scheme that finds its credential decides; of `all`, each must know its credential, and none
    /// another consumer. A wrong credential never falls through. Every credential is removed from what is forwarded.
    pub async fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: &Rc<Worker>,
    ) -> Result<Flow, Error> {
        let (mut consumer, mut foreign, mut missing): (Option<Arc<Consumer>>, _, _) = (None, false, false);
        for (index, scheme) in self.schemes.iter().enumerate() {
            match scheme.recognise(exchange, head, body, worker).await? {
                Verdict::Absent => missing = true,
                Verdict::NotMine => foreign = true,
                Verdict::Refused(refusal) => return Err(self.refused(index, refusal)),
                Verdict::Respond(response) => return Ok(Flow::Respond(response)),
                Verdict::Known(known) => match &consumer {
                    Some(first) if first.name != known.name => {
                        return Err(self.refused(index, Refusal::new("The credentials are not of the same consumer")));
                    }
                    Some(_) => {}
                    None => consumer = Some(known),
                },
            }
            if self.mode == Mode::Any && consumer.is_some() {
                (missing, foreign) = (false, false);
                break;
            }
        }
        let consumer = self.settle(consumer, missing, foreign, head)?;
        exchange.consumer = Some(consumer);
        for scheme in &self.schemes {
            scheme.remove(exchange, head)?;
        }
        Ok(Flow::Continue)
    }

    /// Who it is when all have been asked: `missing`, that one found no credential; `foreign`, that there is one nobody
    /// knows.
    fn settle(
        &self,
        consumer: Option<Arc<Consumer>>,
        missing: bool,
        foreign: bool,
        head: &RequestHead,
    ) -> Result<Arc<Consumer>, Error> {
        match (consumer, &self.anonymous) {
            (Some(consumer), _) if !missing && !foreign => Ok(consumer),
            (None, Some(anonymous)) if !foreign => Ok(anonymous.clone()),
            (None, _) if !foreign => Err(self.unknown("The request carries no credential")),
            (None, _) => Err(self.foreign(head)),
            (Some(_), _) => Err(self.unknown("The request does not carry every credential that is asked for")),
        }
    }

    /// 401 for somebody who has to be known, here or by a policy after this one.
    pub fn unknown(&self, detail: &str) -> Error {
        self.unauthorized(Error::new(Kind::Unauthorized, detail), |_| None)
    }

    /// 401 for a credential that no scheme knows.
    fn foreign(&self, head: &RequestHead) -> Error {
        let error = Error::new(Kind::Unauthorized, "The credential is not valid");
        self.unauthorized(error, |index| self.schemes[index].access_tokens()?.foreign(head))
    }

    fn refused(&self, index: usize, refusal: Refusal) -> Error {
        let mut error = Error::new(refusal.kind, refusal.detail);
        error.cause = refusal.cause;
        match refusal.kind {
            Kind::Unauthorized => {
                let mut instead = Some(refusal.challenges).filter(|challenges| !challenges.is_empty());
                self.unauthorized(error, |scheme| if scheme == index { instead.take() } else { None })
            }
            _ => refusal.challenges.into_iter().fold(error, |error, challenge| {
                error.header(header::WWW_AUTHENTICATE, self.complete(index, challenge))
            }),
        }
    }

    /// The challenges of a token whose scopes are not enough; empty where it was no token that proved the consumer.
    pub fn insufficient_scope(&self, consumer: &Consumer) -> Vec<HeaderValue> {
        let tokens =
            self.schemes.iter().enumerate().filter_map(|(index, scheme)| Some((index, scheme.access_tokens()?)));
        let found = tokens.into_iter().find(|(_, tokens)| tokens.scheme() == consumer.scheme);
        found.map_or_else(Vec::new, |(index, tokens)| {
            tokens.insufficient_scope().into_iter().map(|challenge| self.complete(index, challenge)).collect()
        })
    }

    /// With the challenges of every scheme; one that refused a credential may say more. Of two challenges that ask for
    /// the same (RFC 9110 §11.6.1), a client would not know which one is meant: the one that says more stays.
    fn unauthorized(&self, mut error: Error, mut instead: impl FnMut(usize) -> Option<Vec<HeaderValue>>) -> Error {
        let mut challenges: Vec<HeaderValue> = Vec::new();
        for (index, usual) in self.challenges.iter().enumerate() {
            for challenge in instead(index).as_ref().unwrap_or(usual) {
                let challenge = self.complete(index, challenge.clone());
                match challenges.iter().position(|other| asks_the_same(other, &challenge)) {
                    Some(at) if !says_why(&challenges[at]) => challenges[at] = challenge,
                    Some(_) => {}
                    None => challenges.push(challenge),
                }
            }
        }
        error.headers.extend(challenges.into_iter().map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        error
    }

    fn complete(&self, index: usize, challenge: HeaderValue) -> HeaderValue {
        let parameter = self.resource_metadata.as_ref().filter(|_| self.schemes[index].access_tokens().is_some());
        let text = parameter.and_then(|parameter| Some(format!("{}{parameter}", challenge.to_str().ok()?)));
        text.and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(challenge)
    }
}

/// Whether two challenges are of one scheme that has tokens, or the same altogether.
fn asks_the_same(one: &HeaderValue, other: &HeaderValue) -> bool {
    let kind = |challenge: &HeaderValue| challenge.as_bytes().split(|byte| *byte == b' ').next().map(<[u8]>::to_vec);
    one == other || (kind(one) == kind(other) && [&b"Bearer"[..], b"DPoP"].contains(&&*kind(one).unwrap_or_default()))
}

fn says_why(challenge: &HeaderValue) -> bool {
    challenge.to_str().is_ok_and(|text| text.contains("error=\""))
}

/// Sets the cookies of a session, and the nonce for the next proof, on whatever answers. No cache that others share may
/// keep a response with cookies.
pub fn on_response(exchange: &Exchange, head: &mut ResponseHead) {
    if let Some(nonce) = &exchange.dpop_nonce {
        head.headers.insert(dpop::DPOP_NONCE, nonce.clone());
    }
    if exchange.set_cookies.is_empty() {
        return;
    }
    for cookie in &exchange.set_cookies {
        head.headers.append(header::SET_COOKIE, cookie.clone());
    }
    head.headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
}

fn anonymous(settings: &snapshot::Anonymous, context: &Context<'_>, errors: &mut Vec<String>) -> Arc<Consumer> {
    if let Some(plan) = settings.plan.as_deref().filter(|plan| context.plans.get(plan).is_none()) {
        errors.push(format!("anonymous: plan: there is no plan '{plan}'"));
    }
    let facts = Facts {
        groups: &settings.groups,
        scopes: &settings.scopes,
        plan: settings.plan.as_deref(),
        scheme: consumer::ANONYMOUS,
    };
    Arc::new(Consumer::proved(consumer::ANONYMOUS, &facts, None))
}
