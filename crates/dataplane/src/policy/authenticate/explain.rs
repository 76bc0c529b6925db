//! Who a request's credentials say that it is, and why, for people. Decided by the same looks as on a request's way, as far
//! as that needs no time, no content and nobody else; the rest is told to be open.

use std::sync::Arc;

use serde_json::{json, Value};

use super::{Authenticate, Consumer, Mode, Refusal, Scheme, Verdict};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::shared::Shared;

/// What can be said of a scheme at once.
// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Looked {
    Decided(Verdict),
    /// Why not.
    Open(&'static str),
}

pub enum Outcome {
    Known(Arc<Consumer>),
    Refused(Error),
    Open(String),
}

impl Authenticate {
    /// The outcome, and what each scheme that is asked says.
    pub fn explain(&self, exchange: &mut Exchange, head: &mut RequestHead, shared: &Shared) -> (Outcome, Vec<Value>) {
        let mut said = Vec::new();
        let outcome = self.look(exchange, head, shared, &mut said);
        if let Outcome::Known(consumer) = &outcome {
            exchange.consumer = Some(consumer.clone());
        }
        // Policies after this one see neither, nor do people who read what is told of them.
        for scheme in &self.schemes {
            if let Err(error) = scheme.remove(exchange, head) {
                return (Outcome::Refused(error), said);
            }
        }
        (outcome, said)
    }

    fn look(&self, exchange: &mut Exchange, head: &RequestHead, shared: &Shared, said: &mut Vec<Value>) -> Outcome {
        let (mut consumer, mut foreign, mut missing): (Option<Arc<Consumer>>, _, _) = (None, false, false);
        for (index, scheme) in self.schemes.iter().enumerate() {
            let name = scheme.name();
            let mut say = |says: &str, why: &str| said.push(json!({"scheme": name, "says": says, "why": why}));
            match scheme.look(exchange, head, shared) {
                Looked::Open(why) => {
                    say("open", why);
                    return Outcome::Open(format!("{name}: {why}"));
                }
                Looked::Decided(Verdict::Absent) => {
                    say("absent", "the request carries no credential of this kind");
                    missing = true;
                }
                Looked::Decided(Verdict::NotMine) => {
                    say("not mine", "its credential may be of another scheme");
                    foreign = true;
                }
                Looked::Decided(Verdict::Respond(_)) => {
                    say("answers", "a step of a login");
                    return Outcome::Open(format!("{name} answers itself"));
                }
                Looked::Decided(Verdict::Refused(refusal)) => {
                    let unknown = match refusal.detail {
                        "The credential is not valid" => "nobody's in the configuration; the registry is not looked at",
                        detail => detail,
                    };
                    say("refused", refusal.cause.as_deref().unwrap_or(unknown));
                    return Outcome::Refused(self.refused(index, refusal));
                }
                Looked::Decided(Verdict::Known(known)) => {
                    say("known", &known.name);
                    match &consumer {
                        Some(first) if first.name != known.name => {
                            let refusal = Refusal::new("The credentials are not of the same consumer");
                            return Outcome::Refused(self.refused(index, refusal));
                        }
                        Some(_) => {}
                        None => consumer = Some(known),
                    }
                }
            }
            if self.mode == Mode::Any && consumer.is_some() {
                (missing, foreign) = (false, false);
                break;
            }
        }
        match self.settle(consumer, missing, foreign, head) {
            Ok(consumer) => Outcome::Known(consumer),
            Err(error) => Outcome::Refused(error),
        }
    }
}

impl Scheme {
    pub fn name(&self) -> &'static str {
        match self {
            Self::ApiKey(_) => "api_key",
            Self::Basic(_) => "basic",
            Self::Introspection(_) => "introspection",
            Self::Jwt(_) => "jwt",
            Self::Mtls(_) => "mtls",
            Self::Oidc(_) => "oidc",
            Self::Signature(_) => "signature",
            Self::Webhook(_) => "webhook",
        }
    }

    fn look(&self, exchange: &mut Exchange, head: &RequestHead, shared: &Shared) -> Looked {
        use super::{basic, introspection, jwt, signature, webhook};
        let signed = |signed: bool| match signed {
            true => Looked::Open("its signature is not verified here"),
            false => Looked::Decided(Verdict::Absent),
        };
        match self {
            Self::ApiKey(scheme) => Looked::Decided(scheme.recognise(exchange, head, shared)),
            Self::Basic(scheme) => match scheme.look(exchange, head, shared) {
                basic::Looked::Decided(verdict) => Looked::Decided(verdict),
                basic::Looked::Unverified(_) => Looked::Open("its password is not verified here"),
            },
            Self::Introspection(scheme) => match scheme.look(exchange, head, shared) {
                Ok(introspection::Looked::Decided(verdict)) => Looked::Decided(verdict),
                Ok(introspection::Looked::Unknown(_)) => Looked::Open("its issuer is not asked here"),
                Err(_) => Looked::Open("it cannot be decided here"),
            },
            Self::Jwt(scheme) => match scheme.look(exchange, head, shared) {
                Ok(jwt::Looked::Decided(verdict)) => Looked::Decided(verdict),
                Ok(jwt::Looked::UnknownKey(_)) => Looked::Open("its key is fetched from the issuer"),
                Err(_) => Looked::Open("it cannot be decided here"),
            },
            Self::Mtls(scheme) => Looked::Decided(scheme.recognise(exchange, shared)),
            Self::Oidc(scheme) => match scheme.look(exchange, head, shared) {
                Some(consumer) => Looked::Decided(Verdict::Known(consumer)),
                None => Looked::Open("sessions are not opened here; whoever has none is asked to log in"),
            },
            Self::Signature(_) => signed(signature::is_signed(head)),
            Self::Webhook(_) => signed(webhook::is_signed(head)),
        }
    }
}
