//! One request's calls on their way: which have ended, and what the texts of the others see.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use stagedoor_expression::{json, Template, Value};

use super::call::Call;
use super::failure::Failure;
use super::freshness::Freshness;
use super::text::Place;
use super::AggregateTarget;
use crate::described;
use crate::error::{Error, Kind};
use crate::evaluation::{self, evaluate, scalar};
use crate::exchange::{CallReport, Exchange};
use crate::route::path::decode;
use crate::worker::Worker;

pub struct Round<'a> {
    pub worker: &'a Rc<Worker>,
    pub exchange: &'a Exchange,
    pub target: &'a AggregateTarget,
    /// Of the client's request.
    pub headers: &'a HeaderMap,
    /// That every call begins with.
    pub base: HeaderMap,
    /// Of the client's request, where an expression may want it.
    pub content: Value,
    pub freshness: RefCell<Freshness>,
    pub reports: RefCell<Vec<CallReport>>,
    described: OnceCell<Value>,
    done: Box<[OnceCell<Done>]>,
    bytes: Cell<usize>,
}

/// What came of a call.
#[derive(Default)]
pub struct Done {
    /// None: it failed or was not made, and has no default.
    pub answer: Option<Answer>,
    pub failure: Option<Failure>,
}

/// JSON.
pub struct Answer {
    pub text: Bytes,
    value: OnceCell<Value>,
}

impl Answer {
    pub fn new(text: Bytes) -> Self {
        Self { text, value: OnceCell::new() }
    }

    /// As expressions see it; made when one looks.
    pub fn value(&self) -> Result<&Value, Failure> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = json::parse(&self.text).map_err(|error| Failure::expression("answer", error))?;
        Ok(self.value.get_or_init(|| value))
    }
}

impl<'a> Round<'a> {
    pub fn new(
        worker: &'a Rc<Worker>,
        exchange: &'a Exchange,
        target: &'a AggregateTarget,
        headers: &'a HeaderMap,
        content: Value,
    ) -> Self {
        Self {
            worker,
            exchange,
            target,
            headers,
            base: super::request::base(headers, exchange),
            content,
            freshness: RefCell::default(),
            reports: RefCell::default(),
            described: OnceCell::new(),
            done: target.calls.iter().map(|_| OnceCell::new()).collect(),
            bytes: Cell::new(0),
        }
    }

    pub fn done(&self, index: usize) -> Option<&Done> {
        self.done.get(index)?.get()
    }

    pub fn finish(&self, index: usize, done: Done) {
        if let Some(place) = self.done.get(index) {
            // A call ends once.
            let _first = place.set(done);
        }
    }

    /// Counts an answer's bytes towards the bound of all of them.
    pub fn hold(&self, bytes: usize) -> Result<(), Failure> {
        let held = self.bytes.get().saturating_add(bytes);
        self.bytes.set(held);
        match held <= self.target.body_bytes {
            true => Ok(()),
            false => {
                let detail = format!("the services' answers together are larger than {} bytes", self.target.body_bytes);
                Err(Error::new(Kind::BadReply, detail).into())
            }
        }
    }

    /// What expressions see: the request, the answers of the calls at these positions, and more.
    pub fn input(
        &self,
        calls: impl Iterator<Item = usize>,
        more: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Value, Failure> {
        let request = match self.described.get() {
            Some(request) => request,
            None => {
                let request = described::describe(self.exchange, self.headers, self.content.clone())?;
                self.described.get_or_init(|| request)
            }
        };
        let mut answers = Vec::new();
        for index in calls {
            if let Some(answer) = self.done(index).and_then(|done| done.answer.as_ref()) {
                answers.push((&*self.target.calls[index].name, answer.value()?.clone()));
            }
        }
        let large = |error| Failure::expression("input", error);
        let answers = Value::object(answers).map_err(large)?;
        let Value::Object(request) = request else { return Ok(Value::Null) };
        let members = request.iter().map(|(name, value)| (name.clone(), value.clone()));
        let more = more.into_iter().map(|(name, value)| (name.into(), value));
        Value::object(members.chain([("answers".into(), answers)]).chain(more)).map_err(large)
    }
}

/// Where the texts of one call are made.
pub struct Scope<'a> {
    pub round: &'a Round<'a>,
    pub call: &'a Call,
    pub item: Option<&'a Value>,
    input: OnceCell<Value>,
}

impl<'a> Scope<'a> {
    pub fn new(round: &'a Round<'a>, call: &'a Call, item: Option<&'a Value>) -> Self {
        Self { round, call, item, input: OnceCell::new() }
    }

    pub async fn evaluate(&self, template: &Template, option: &str) -> Result<Value, Failure> {
        let outcome = evaluate(self.round.worker, template, self.input()?).await;
        outcome.map_err(|error| Failure::expression(option, error))
    }

    pub async fn path(&self, template: &Template) -> Result<String, Failure> {
        let outcome = evaluation::path(self.round.worker, template, self.input()?, &[]).await;
        outcome.map_err(|error| Failure::expression("path", error))
    }

    fn input(&self) -> Result<&Value, Failure> {
        if self.input.get().is_none() {
            let item = self.item.map(|item| ("item", item.clone()));
            let input = self.round.input(self.call.before.iter().copied(), item)?;
            self.input.get_or_init(|| input);
        }
        Ok(self.input.get().unwrap_or(&Value::Null))
    }

    /// Of its call.
    pub fn index(&self) -> usize {
        self.round.target.calls.iter().position(|call| std::ptr::eq(call, self.call)).unwrap_or(usize::MAX)
    }

    /// Of another call.
    pub fn name(&self, index: usize) -> &str {
        self.round.target.calls.get(index).map_or("", |call| &call.name)
    }

    /// Still percent-encoded.
    pub fn raw_param(&self, index: usize) -> &str {
        self.round.exchange.params.at(index, self.round.exchange.path()).unwrap_or_default()
    }

    /// None where there is none, or none that can stand in a text.
    pub fn value(&self, place: &Place) -> Result<Option<Cow<'_, str>>, Failure> {
        let exchange = self.round.exchange;
        Ok(match place {
            Place::Param(index) => Some(decode(self.raw_param(*index))),
            Place::Query(name) => parameter(exchange.query().unwrap_or_default(), name).map(Cow::Owned),
            Place::Header(name) => {
                self.round.headers.get(name).and_then(|value| value.to_str().ok()).map(Cow::Borrowed)
            }
            Place::ConsumerId => exchange.told_caller().map(Cow::Borrowed),
            Place::ConsumerPlan => {
                exchange.told_consumer().and_then(|consumer| consumer.plan.as_deref()).map(Cow::Borrowed)
            }
            Place::Answer(index, steps) => match self.round.done(*index).and_then(|done| done.answer.as_ref()) {
                Some(answer) => below(answer.value()?, steps).and_then(scalar).map(Cow::Owned),
                None => None,
            },
            Place::Item(steps) => self.item.and_then(|item| below(item, steps)).and_then(scalar).map(Cow::Owned),
        })
    }
}

fn below<'v>(value: &'v Value, steps: &[Box<str>]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// The first of that name, decoded.
fn parameter(query: &str, wanted: &str) -> Option<String> {
    let text = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == wanted || text(name) == wanted).then(|| text(value))
    })
}
