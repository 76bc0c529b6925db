//! A target that makes one answer of several services': a backend for a frontend.
//!
//! Calls run side by side unless one is to come after another. An answer that no expression looks at is never made into
//! a tree: it is found to be JSON and copied.

mod answer;
mod call;
mod compose;
mod failure;
mod freshness;
mod names;
mod order;
mod request;
mod round;
mod run;
mod text;
mod together;

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use serde_json::{json, Value as Json};
use stagedoor_expression::Value;

use self::call::Call;
use self::compose::Composition;
use self::names::Names;
use self::order::Order;
use self::round::Round;
use self::text::{Place, Text};
use super::workflow::input;
use super::Context;
use crate::cluster::Cluster;
use crate::error::{self, Error, Kind};
use crate::exchange::{CallReport, Exchange};
use crate::policy::cache::{Cache, OfCall};
use crate::program::Report;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

/// Of one aggregate.
pub const CALLS: usize = 32;

pub struct AggregateTarget {
    calls: Box<[Call]>,
    timeout: Duration,
    body_bytes: usize,
    composition: Composition,
    /// Some expression sees the request, its body included.
    has_jq: bool,
    /// The answer is for one caller.
    personal: bool,
    /// Headers of the request that some call depends on.
    vary: Box<[Box<str>]>,
}

impl AggregateTarget {
    pub fn compile(settings: &snapshot::AggregateTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let names: Vec<&str> = settings.calls.iter().map(|call| call.name.as_str()).collect();
        let mut wrong: Vec<String> = Vec::new();
        if names.is_empty() || names.len() > CALLS {
            wrong.push(format!("aggregate: it has 1 to {CALLS} calls"));
        }
        let mut misplaced = Vec::new();
        let order = Order::compile(&settings.calls, &mut misplaced);
        let told = misplaced.into_iter().map(|(index, what)| format!("aggregate.{}.after: {what}", names[index]));
        wrong.extend(told);
        let mut calls = Vec::with_capacity(names.len());
        for (index, call) in settings.calls.iter().enumerate() {
            let before = &order.before[index];
            let names = Names { params: context.path.names(), calls: &names, before, item: call.each.is_some() };
            let mut own = Vec::new();
            calls.extend(Call::compile(call, &names, order.after[index].clone(), context, &mut own));
            wrong.extend(own.into_iter().map(|what| format!("aggregate.{}.{what}", call.name)));
        }
        let composition = Composition::compile(settings, &names, &mut wrong);
        if !wrong.is_empty() {
            wrong.into_iter().for_each(|what| context.error(report, what));
            return None;
        }
        let composition = composition?;
        let has_jq = composition.has_jq() || calls.iter().any(Call::has_jq);
        let (mut personal, mut vary) = (false, Vec::new());
        for place in calls.iter().flat_map(Call::texts).flat_map(Text::places) {
            match place {
                Place::ConsumerId | Place::ConsumerPlan => personal = true,
                Place::Header(name) => vary.push(name.as_str().into()),
                _ => {}
            }
        }
        Some(Self {
            calls: calls.into(),
            timeout: Duration::from_millis(settings.timeout_ms),
            body_bytes: settings.body_bytes,
            composition,
            has_jq,
            personal,
            vary: vary.into(),
        })
    }

    /// Of its calls.
    pub fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.calls.iter().map(|call| &*call.cluster)
    }

    /// Of one call.
    pub fn cache(&self, index: usize) -> Option<&Cache> {
        self.calls.get(index)?.cache.as_ref()
    }

    /// One call on behalf of its cache, which has left out all that is not in its key.
    pub async fn ask(
        &self,
        worker: &Rc<Worker>,
        exchange: &Exchange,
        of: &OfCall<'_>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let Some(call) = self.calls.get(of.index) else {
            return Err(Error::new(Kind::Internal, "The route has no such call"));
        };
        if let Some(consumer) = exchange.told_consumer() {
            consumer.identity.set(request.headers_mut());
        }
        call.cluster.name_host(request.headers_mut());
        let deadline = exchange.deadline.min(Instant::now() + call.timeout);
        let mut report = CallReport::new(call.name.clone());
        let answer = run::ask(worker, exchange, call, request, deadline, &mut report).await;
        of.report.borrow_mut().add(report);
        answer
    }

    pub async fn run(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        exchange.deadline = exchange.deadline.min(exchange.received + self.timeout);
        let (head, body) = request.into_parts();
        let content = if self.has_jq { input::collect(&head.headers, body).await? } else { Value::Null };
        let round = Round::new(worker, exchange, self, &head.headers, content);
        self.note_what_it_depends_on(&round);
        let outcome = match run::all(&round).await {
            Ok(()) => self.composition.respond(&round).await.map_err(|failure| (failure.error, None)),
            Err((index, failure)) => {
                let (error, status) = failure.into_error(&self.calls[index].name);
                Err((error, Some(status)))
            }
        };
        let reports = round.reports.take();
        exchange.retries = reports.iter().map(|report| report.retries).sum();
        exchange.calls = reports;
        outcome.or_else(|(error, status)| refuse(exchange, error, status))
    }

    fn note_what_it_depends_on(&self, round: &Round<'_>) {
        let mut freshness = round.freshness.borrow_mut();
        // What jq looks at is not known.
        if self.personal || (self.has_jq && round.exchange.told_caller().is_some()) {
            freshness.personal();
        }
        self.vary.iter().for_each(|name| freshness.vary(name));
    }

    pub fn describe(&self) -> Json {
        json!({
            "aggregate": self.calls.iter().map(Call::describe).collect::<Vec<_>>(),
            "timeout_ms": self.timeout.as_millis() as u64,
        })
    }
}

/// An error under the status that a service has answered with, where that says something to the client.
fn refuse(exchange: &mut Exchange, error: Error, status: Option<http::StatusCode>) -> Result<Response<Body>, Error> {
    match status.map(|status| status.as_u16()).filter(|status| *status != error.kind.status()) {
        Some(status) if error.kind == Kind::CallFailed => {
            exchange.error = Some(error.kind);
            exchange.cause.clone_from(&error.cause);
            Ok(error::respond_with(&error, status, Some(exchange.request_id())))
        }
        _ => Err(error),
    }
}
