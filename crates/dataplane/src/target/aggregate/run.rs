//! The calls, each as soon as those have ended that it is to come after, until all have or one fails that must not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{Request, Response};
use stagedoor_expression::Value;

use super::call::{Call, Each};
use super::failure::Failure;
use super::round::{Answer, Done, Round, Scope};
use super::together::Together;
use super::{answer, request};
use crate::cluster::credentials::Caller;
use crate::cluster::{SendOptions, SendReport};
use crate::error::Error;
use crate::exchange::{CallReport, Exchange};
use crate::policy::cache::{OfCall, Origin};
use crate::protocol::body::Body;
use crate::worker::Worker;

/// The position of the call that has ended all, and why. Dropping this drops whatever is under way.
pub async fn all(round: &Round<'_>) -> Result<(), (usize, Failure)> {
    let calls = &round.target.calls;
    let mut begun = vec![false; calls.len()];
    let mut under_way = Together::with_capacity(calls.len());
    loop {
        for (index, call) in calls.iter().enumerate() {
            if !begun[index] && call.after.iter().all(|before| round.done(*before).is_some()) {
                begun[index] = true;
                under_way.begin(index, one(round, call));
            }
        }
        let Some((index, done)) = under_way.next().await else { return Ok(()) };
        let call = &calls[index];
        let mut done = match done {
            Done { failure: Some(failure), .. } if !call.optional => return Err((index, failure)),
            done => done,
        };
        done.answer = done.answer.or_else(|| call.default.clone().map(Answer::new));
        round.finish(index, done);
    }
}

/// A call from its condition to its answer.
async fn one(round: &Round<'_>, call: &Call) -> Done {
    let begin = Instant::now();
    let (done, mut report) = perform(round, call).await;
    report.duration = begin.elapsed();
    report.error = done.failure.as_ref().map(|failure| failure.error.kind);
    match &done {
        Done { failure: Some(_), .. } => call.metrics.failed(round.worker.index),
        Done { answer: None, .. } => call.metrics.skipped(round.worker.index),
        Done { .. } => call.metrics.answered(round.worker.index),
    }
    round.reports.borrow_mut().push(report);
    done
}

async fn perform(round: &Round<'_>, call: &Call) -> (Done, CallReport) {
    let mut report = CallReport::new(call.name.clone());
    let scope = Scope::new(round, call, None);
    if let Some(condition) = &call.condition {
        match scope.evaluate(condition, "if").await {
            Ok(Value::Null | Value::Bool(false)) => return (Done::default(), report),
            Ok(_) => {}
            Err(failure) => return (failure.into(), report),
        }
    }
    let done = match &call.each {
        None => send(call, &scope, &mut report).await.map_or_else(Done::from, Done::from),
        Some(each) => match scope.evaluate(&each.items, "each").await {
            Ok(items) => many(round, call, each, &items, &mut report).await,
            Err(failure) => failure.into(),
        },
    };
    (done, report)
}

/// One call for each item, the answers in the items' order.
async fn many(round: &Round<'_>, call: &Call, each: &Each, items: &Value, report: &mut CallReport) -> Done {
    let items = match items {
        Value::Null => &[],
        Value::Array(items) if items.len() <= each.most => &items[..],
        Value::Array(items) => {
            let count = format!("the list has {} items, at most {} are called for", items.len(), each.most);
            return Failure::value(call.sees_answers(), &count).into();
        }
        _ => return Failure::value(call.sees_answers(), "what it is to be called for is no list").into(),
    };
    let scopes: Vec<Scope<'_>> = items.iter().map(|item| Scope::new(round, call, Some(item))).collect();
    let mut texts: Vec<Option<Bytes>> = vec![None; items.len()];
    let mut under_way = Together::with_capacity(each.parallel.min(items.len()));
    let mut waiting = scopes.iter().enumerate();
    let mut failed = None;
    loop {
        while under_way.len() < each.parallel {
            let Some((index, scope)) = waiting.next() else { break };
            under_way.begin(index, async move {
                let mut report = CallReport::new(call.name.clone());
                (send(call, scope, &mut report).await, report)
            });
        }
        let Some((index, (outcome, sent))) = under_way.next().await else { break };
        report.add(sent);
        match outcome {
            Ok(answer) => texts[index] = Some(answer.text),
            Err(failure) if call.optional => failed = failed.or(Some(failure)),
            Err(failure) => return failure.into(),
        }
    }
    let mut list = Vec::with_capacity(texts.iter().flatten().map(|text| text.len() + 1).sum::<usize>() + 2);
    list.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            list.push(b',');
        }
        list.extend_from_slice(text.as_deref().or(call.default.as_deref()).unwrap_or(b"null"));
    }
    list.push(b']');
    Done { answer: Some(Answer::new(list.into())), failure: failed }
}

/// Answered by its cache, or by its service.
async fn send(call: &Call, scope: &Scope<'_>, report: &mut CallReport) -> Result<Answer, Failure> {
    let request = request::build(call, scope).await?;
    let Round { worker, exchange, .. } = scope.round;
    let deadline = exchange.deadline.min(Instant::now() + call.timeout);
    let response = match (&call.cache, &exchange.route) {
        (Some(cache), Some(route)) => {
            // The cache sees the call as if a client had asked for it.
            let mut own = Box::new(exchange.again());
            own.deadline = deadline;
            own.target = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
            own.host = request.headers().get(HOST).cloned().unwrap_or_else(|| exchange.host.clone());
            let kept = RefCell::new(std::mem::replace(report, CallReport::new(call.name.clone())));
            let of_call = OfCall { index: scope.index(), report: &kept };
            let origin = Origin { worker, link: None, route, interim: None, call: Some(of_call) };
            let response = Box::pin(cache.answer(&origin, &mut own, request)).await;
            *report = kept.into_inner();
            report.cache = own.cache;
            response?
        }
        _ => ask(worker, exchange, call, request, deadline, report).await?,
    };
    report.status = Some(response.status().as_u16());
    answer::read(call, scope, response).await
}

/// The one place where a call leaves.
pub async fn ask(
    worker: &Rc<Worker>,
    exchange: &Exchange,
    call: &Call,
    request: Request<Body>,
    deadline: Instant,
    report: &mut CallReport,
) -> Result<Response<Body>, Error> {
    let mut sent = SendReport::default();
    let options = SendOptions {
        deadline,
        stream: None,
        is_call: false,
        // Nothing else may be called.
        idempotent: true,
        interim: None,
        grant: None,
        source: exchange.source(),
        report: &mut sent,
    };
    let caller = Caller::of(exchange.told_consumer().map(|consumer| &**consumer));
    let outcome = call.cluster.send_for(worker, request, options, caller).await;
    report.sent += 1;
    report.endpoint = sent.endpoint;
    report.retries += sent.retries;
    outcome
}

impl From<Failure> for Done {
    fn from(failure: Failure) -> Self {
        Self { answer: None, failure: Some(failure) }
    }
}

impl From<Answer> for Done {
    fn from(answer: Answer) -> Self {
        Self { answer: Some(answer), failure: None }
    }
}
