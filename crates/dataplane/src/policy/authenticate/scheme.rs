//! The ways to prove who calls, a closed set, and what each can say of a request.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Response};
use serde_json::Value;

use super::access_token::AccessTokens;
use super::api_key::ApiKey;
use super::basic::{Basic, Looked};
use super::consumer::Consumer;
use super::introspection::{self, Introspection};
use super::jwt::{self, Jwt};
use super::mtls::Mtls;
use super::oidc::Oidc;
use super::signature::Signature;
use super::webhook::Webhook;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

/// What a scheme says of a request. That it cannot decide is an `Error`.
// Returned once for each scheme and looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Verdict {
    /// The request carries no credential of this kind.
    Absent,
    /// It carries one that another scheme may know. Nobody who shows it is anonymous.
    NotMine,
    Known(Arc<Consumer>),
    /// It carries one of this kind, and a wrong one.
    Refused(Refusal),
    /// The scheme itself answers: a step of a login.
    Respond(Response<Body>),
}

impl Verdict {
    /// Of one that has proved itself: it may be good for less than any request.
    pub fn of(consumer: &Arc<Consumer>, exchange: &Exchange) -> Self {
        match consumer.credential.as_ref().map_or(Ok(()), |credential| credential.admit(exchange)) {
            Ok(()) => Self::Known(consumer.clone()),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

/// Why a credential is not taken, in words for its sender.
pub struct Refusal {
    pub kind: Kind,
    pub detail: &'static str,
    /// In place of the scheme's usual ones, if there are any.
    pub challenges: Vec<HeaderValue>,
    /// For the log alone.
    pub cause: Option<String>,
}

impl Refusal {
    pub fn new(detail: &'static str) -> Self {
        Self { kind: Kind::Unauthorized, detail, challenges: Vec::new(), cause: None }
    }
}

pub enum Scheme {
    ApiKey(ApiKey),
    Basic(Basic),
    Introspection(Box<Introspection>),
    Jwt(Box<Jwt>),
    Mtls(Mtls),
    Oidc(Box<Oidc>),
    Signature(Signature),
    Webhook(Webhook),
}

impl Scheme {
    pub fn new(settings: &snapshot::Scheme, context: &Context<'_>) -> Result<Self, Vec<String>> {
        Ok(match settings {
            snapshot::Scheme::ApiKey { header, query } => {
                Self::ApiKey(ApiKey::new(header.as_deref(), query.as_deref(), context.credentials.clone())?)
            }
            snapshot::Scheme::Basic(settings) => Self::Basic(Basic::new(settings, context)?),
            snapshot::Scheme::Introspection(settings) => {
                Self::Introspection(Box::new(Introspection::new(settings, context)?))
            }
            snapshot::Scheme::Jwt(settings) => Self::Jwt(Box::new(Jwt::new(settings, context)?)),
            snapshot::Scheme::Mtls(settings) => Self::Mtls(Mtls::new(settings, context)?),
            snapshot::Scheme::Oidc(settings) => Self::Oidc(Box::new(Oidc::new(settings, context)?)),
            snapshot::Scheme::Signature(settings) => Self::Signature(Signature::new(settings, context)?),
            snapshot::Scheme::Webhook(settings) => Self::Webhook(Webhook::new(settings, context)?),
        })
    }

    pub fn describe(&self) -> Value {
        match self {
            Self::ApiKey(scheme) => scheme.describe(),
            Self::Basic(scheme) => scheme.describe(),
            Self::Introspection(scheme) => scheme.describe(),
            Self::Jwt(scheme) => scheme.describe(),
            Self::Mtls(scheme) => scheme.describe(),
            Self::Oidc(scheme) => scheme.describe(),
            Self::Signature(scheme) => scheme.describe(),
            Self::Webhook(scheme) => scheme.describe(),
        }
    }

    /// Of a 401 (RFC 9110 §11.6.1). Empty: there is nothing that a client could do at once.
    pub fn challenges(&self) -> Vec<HeaderValue> {
        match self {
            Self::ApiKey(scheme) => vec![scheme.challenge()],
            Self::Basic(scheme) => vec![scheme.challenge()],
            Self::Introspection(scheme) => scheme.challenges(),
            Self::Jwt(scheme) => scheme.challenges(),
            Self::Oidc(scheme) => vec![scheme.challenge()],
            Self::Mtls(_) | Self::Signature(_) | Self::Webhook(_) => Vec::new(),
        }
    }

    /// Of schemes that take access tokens.
    pub fn access_tokens(&self) -> Option<&AccessTokens> {
        match self {
            Self::Introspection(scheme) => Some(&scheme.tokens),
            Self::Jwt(scheme) => Some(&scheme.tokens),
            _ => None,
        }
    }

    /// What can be decided without waiting is; the rest waits in a box of its own, so that others do not pay for it.
    pub async fn recognise(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        match self {
            Self::ApiKey(scheme) => Ok(scheme.recognise(exchange, head, &worker.shared)),
            Self::Introspection(scheme) => match scheme.look(exchange, head, &worker.shared)? {
                introspection::Looked::Decided(verdict) => Ok(verdict),
                introspection::Looked::Unknown(presented) => {
                    Box::pin(scheme.ask(presented, exchange, head, worker)).await
                }
            },
            Self::Jwt(scheme) => match scheme.look(exchange, head, &worker.shared)? {
                jwt::Looked::Decided(verdict) => Ok(verdict),
                jwt::Looked::UnknownKey(presented) => Box::pin(scheme.wait(presented, exchange, head, worker)).await,
            },
            Self::Mtls(scheme) => Ok(scheme.recognise(exchange, &worker.shared)),
            Self::Oidc(scheme) => match scheme.look(exchange, head, &worker.shared) {
                Some(consumer) => Ok(Verdict::Known(consumer)),
                None => Box::pin(scheme.recognise(exchange, head, worker)).await,
            },
            Self::Signature(scheme) => Box::pin(scheme.recognise(exchange, head, body, &worker.shared)).await,
            Self::Webhook(scheme) => Box::pin(scheme.recognise(head, body, &worker.shared)).await,
            Self::Basic(scheme) => match scheme.look(exchange, head, &worker.shared) {
                Looked::Decided(verdict) => Ok(verdict),
                Looked::Unverified(presented) => Box::pin(scheme.verify(presented, exchange, worker)).await,
            },
        }
    }

    /// Takes the credential out of what is forwarded, or puts a proof that is no secret in its place.
    pub fn remove(&self, exchange: &mut Exchange, head: &mut RequestHead) -> Result<(), Error> {
        match self {
            Self::ApiKey(scheme) => scheme.remove(exchange, head),
            Self::Basic(scheme) => {
                scheme.remove(head);
                Ok(())
            }
            Self::Introspection(scheme) => {
                scheme.tokens.remove(&mut head.headers);
                Ok(())
            }
            Self::Jwt(scheme) => {
                scheme.tokens.remove(&mut head.headers);
                Ok(())
            }
            Self::Mtls(scheme) => {
                scheme.forward(exchange, head);
                Ok(())
            }
            Self::Oidc(scheme) => {
                scheme.remove(head);
                Ok(())
            }
            Self::Signature(scheme) => {
                scheme.remove(head);
                Ok(())
            }
            Self::Webhook(scheme) => {
                scheme.remove(head);
                Ok(())
            }
        }
    }
}
