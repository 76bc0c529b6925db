//! What a caller may do: conditions on its consumer, its address, the time and the request, and the word of Open Policy
//! Agent or of an external authorizer. Fails closed; who is refused does not learn by what.

pub mod cel;
mod conditions;
mod decisions;
mod ext_authz;
mod opa;
mod window;

use std::rc::Rc;

use http::header::WWW_AUTHENTICATE;
use serde_json::{json, Value};

use self::conditions::{Conditions, Unmet};
use self::ext_authz::ExtAuthz;
pub use self::ext_authz::Verdict;
use self::opa::Opa;
use super::authenticate::Authenticate;
use super::{Context, Flow, RequestHead, ResponseHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::explain::decision::{open, passes, refused};
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

pub struct Authorize {
    must: Conditions,
    any: Vec<Conditions>,
    none: Vec<Conditions>,
    opa: Option<Opa>,
    ext_authz: Option<ExtAuthz>,
}

impl Authorize {
    /// `known`: the route asks who calls.
    pub fn new(settings: &snapshot::Authorize, known: bool, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut list = |part: &str, settings: &[snapshot::Conditions]| -> Vec<Conditions> {
            let mut compiled = Vec::new();
            for (index, settings) in settings.iter().enumerate() {
                let mut wrong = Vec::new();
                compiled.push(Conditions::new(settings, &mut wrong));
                errors.extend(wrong.into_iter().map(|wrong| format!("{part}[{index}].{wrong}")));
            }
            compiled
        };
        let (any, none) = (list("any", &settings.any), list("none", &settings.none));
        let must = Conditions::new(&settings.must, &mut errors);
        if !known && any.iter().chain(&none).chain([&must]).any(Conditions::asks_for_a_consumer) {
            errors.push("it asks who calls, which nobody knows without the policy 'authenticate'".to_owned());
        }
        let opa = settings.opa.as_ref().and_then(|settings| match Opa::new(settings, context) {
            Ok(opa) => Some(opa),
            Err(wrong) => {
                errors.push(format!("opa: {wrong}"));
                None
            }
        });
        let ext_authz = settings.ext_authz.as_ref().and_then(|settings| match ExtAuthz::new(settings, context) {
            Ok(ext_authz) => Some(ext_authz),
            Err(wrong) => {
                errors.push(format!("ext_authz: {wrong}"));
                None
            }
        });
        match errors.is_empty() {
            true => Ok(Self { must, any, none, opa, ext_authz }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let list = |list: &[Conditions]| list.iter().map(Conditions::describe).collect::<Vec<_>>();
        let mut parts = self.must.describe();
        if !self.any.is_empty() {
            parts["any"] = list(&self.any).into();
        }
        if !self.none.is_empty() {
            parts["none"] = list(&self.none).into();
        }
        if let Some(opa) = &self.opa {
            parts["opa"] = opa.describe();
        }
        if let Some(ext_authz) = &self.ext_authz {
            parts["ext_authz"] = ext_authz.describe();
        }
        parts
    }

    /// `authenticate` is the route's, for those who could still say who they are.
    pub async fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        authenticate: Option<&Authenticate>,
        worker: &Rc<Worker>,
    ) -> Result<Flow, Error> {
        if let Err((cause, unmet)) = self.decide(exchange, head) {
            return Err(refusal(exchange, cause, unmet, authenticate));
        }
        if let Some(opa) = &self.opa {
            Box::pin(opa.decide(exchange, head, worker)).await?;
        }
        match &self.ext_authz {
            Some(ext_authz) => Box::pin(ext_authz.decide(exchange, head, body, worker)).await,
            None => Ok(Flow::Continue),
        }
    }

    /// What is known here; where something does not hold, which for the log.
    fn decide(&self, exchange: &Exchange, head: &RequestHead) -> Result<(), (String, Unmet)> {
        let name = |part: &str, unmet: Unmet| {
            let cause = match &unmet.cause {
                Some(cause) => format!("authorize: {part}{}: {cause}", unmet.condition),
                None => format!("authorize: {part}{} does not hold", unmet.condition),
            };
            (cause, unmet)
        };
        self.must.hold(exchange, head).map_err(|unmet| name("", unmet))?;
        for (index, conditions) in self.none.iter().enumerate() {
            match conditions.hold(exchange, head) {
                // An expression that cannot be decided may not let anybody pass.
                Err(unmet) if unmet.cause.is_none() => {}
                Err(unmet) => return Err(name(&format!("none[{index}]."), unmet)),
                Ok(()) => {
                    return Err((format!("authorize: none[{index}] holds"), Unmet { condition: "", cause: None }))
                }
            }
        }
        let mut last = None;
        for (index, conditions) in self.any.iter().enumerate() {
            match conditions.hold(exchange, head) {
                Ok(()) => return Ok(()),
                Err(unmet) => last = Some(name(&format!("any[{index}]."), unmet)),
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// Whether and why it would let a request pass, for people, with each set of conditions and what of it does not hold.
    /// Others are not asked; what they would be is told.
    pub fn explain(&self, exchange: &Exchange, head: &RequestHead, authenticate: Option<&Authenticate>) -> Value {
        let mut conditions = Vec::new();
        let mut look = |place: String, set: &Conditions| {
            conditions.push(match set.hold(exchange, head) {
                Ok(()) => json!({"conditions": place, "holds": true}),
                Err(unmet) => {
                    json!({"conditions": place, "holds": false, "unmet": unmet.condition, "why": unmet.cause})
                }
            });
        };
        look("all".to_owned(), &self.must);
        self.none.iter().enumerate().for_each(|(index, set)| look(format!("none[{index}]"), set));
        self.any.iter().enumerate().for_each(|(index, set)| look(format!("any[{index}]"), set));
        let mut decision = match self.decide(exchange, head) {
            Err((cause, unmet)) => refused(&refusal(exchange, cause, unmet, authenticate)),
            Ok(()) if self.opa.is_none() && self.ext_authz.is_none() => passes("every condition holds"),
            Ok(()) => open("every condition holds, and somebody else is asked"),
        };
        let asks = [
            self.opa.as_ref().map(|opa| opa.explain(exchange, head)),
            self.ext_authz.as_ref().map(|ext_authz| ext_authz.explain(exchange, head)),
        ];
        let asks: Vec<Value> = asks.into_iter().flatten().collect();
        if !asks.is_empty() && decision["decision"] == "open" {
            decision["asks"] = asks.into();
        }
        decision["conditions"] = conditions.into();
        decision
    }
}

/// What an external authorizer adds, on whatever answers.
pub fn on_response(exchange: &Exchange, head: &mut ResponseHead) {
    if let Some(verdict) = &exchange.granted {
        verdict.on_response(&mut head.headers);
    }
}

/// 401 for those of whom nothing is known, else 403. Which condition it was stands in the log alone.
fn refusal(exchange: &Exchange, cause: String, unmet: Unmet, authenticate: Option<&Authenticate>) -> Error {
    let consumer = exchange.consumer.as_deref().filter(|consumer| !consumer.is_anonymous());
    match (consumer, authenticate) {
        (None, Some(authenticate)) => authenticate.unknown("The request carries no credential").cause(cause),
        (Some(consumer), Some(authenticate)) if unmet.condition.contains("scope") => {
            let challenges = authenticate.insufficient_scope(consumer).into_iter();
            challenges.fold(forbidden().cause(cause), |error, challenge| error.header(WWW_AUTHENTICATE, challenge))
        }
        _ => forbidden().cause(cause),
    }
}

fn forbidden() -> Error {
    Error::new(Kind::Forbidden, "This is not allowed")
}
