//! Who calls: the consumer whose credential the request carries. Fails closed with 401.

pub mod api_key;
pub mod consumer;
pub mod credential;
pub mod registry;
pub mod scheme;

use std::rc::Rc;

use http::{header, HeaderValue};
use serde_json::{json, Value};

pub use consumer::{Consumer, Credentials, Digest};
pub use credential::{Credential, LastUsed};
pub use registry::Registry;
pub use scheme::{Refusal, Scheme, Verdict};

use super::{Context, Flow, RequestHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

pub struct Authenticate {
    pub any: Vec<Scheme>,
    /// Of a 401, in the same order.
    challenges: Vec<Option<HeaderValue>>,
}

impl Authenticate {
    pub fn new(settings: &snapshot::Authenticate, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut any = Vec::new();
        for settings in &settings.any {
            match Scheme::new(settings, context) {
                Ok(scheme) => any.push(scheme),
                Err(mut wrong) => errors.append(&mut wrong),
            }
        }
        if settings.any.is_empty() {
            errors.push("it lists no way to authenticate, so nobody could".to_owned());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let challenges = any.iter().map(Scheme::challenge).collect();
        Ok(Self { any, challenges })
    }

    pub fn describe(&self) -> Value {
        let any: Vec<Value> = self.any.iter().map(Scheme::describe).collect();
        json!({"any": any})
    }

    /// The first scheme that finds its credential decides; a wrong credential never falls through. Every credential is
    /// removed from what is forwarded.
    pub async fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: &Rc<Worker>,
    ) -> Result<Flow, Error> {
        let mut foreign = false;
        for (index, scheme) in self.any.iter().enumerate() {
            match scheme.recognise(exchange, head, body, worker).await? {
                Verdict::Absent => {}
                Verdict::NotMine => foreign = true,
                Verdict::Refused(refusal) => return Err(self.refused(index, refusal)),
                Verdict::Respond(response) => return Ok(Flow::Respond(response)),
                Verdict::Known(consumer) => {
                    exchange.consumer = Some(consumer);
                    for scheme in &self.any {
                        scheme.remove(exchange, head)?;
                    }
                    return Ok(Flow::Continue);
                }
            }
        }
        let detail = if foreign { "The credential is not valid" } else { "The request carries no credential" };
        Err(self.unauthorized(Error::new(Kind::Unauthorized, detail), None))
    }

    fn refused(&self, index: usize, refusal: Refusal) -> Error {
        let mut error = Error::new(refusal.kind, refusal.detail);
        error.cause = refusal.cause;
        match refusal.kind {
            Kind::Unauthorized => self.unauthorized(error, refusal.challenge.map(|challenge| (index, challenge))),
            _ => match refusal.challenge {
                Some(challenge) => error.header(header::WWW_AUTHENTICATE, challenge),
                None => error,
            },
        }
    }

    /// With one challenge for each scheme; the one that refused a credential may say more.
    fn unauthorized(&self, mut error: Error, instead: Option<(usize, HeaderValue)>) -> Error {
        for (index, usual) in self.challenges.iter().enumerate() {
            let own = instead.as_ref().filter(|(refuser, _)| *refuser == index).map(|(_, challenge)| challenge);
            if let Some(challenge) = own.or(usual.as_ref()) {
                error = error.header(header::WWW_AUTHENTICATE, challenge.clone());
            }
        }
        error
    }
}
