//! The policy `transform_response`.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use serde_json::{json, Value as Json};
use stagedoor_expression::{Template, Value};

use super::content::{self, Change, Wrong};
use super::events::Events;
use super::{describe_changes, failed, names, problem, HeaderChanges, Variables};
use crate::described;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{RequestHead, ResponseHead};
use crate::protocol::body::Body;
use crate::protocol::coding::{Coding, Decoded, Fault};
use crate::protocol::event_stream::Framing;
use crate::snapshot;
use crate::worker::Worker;

const VARIABLES: [&str; 3] = ["$request", "$status", "$headers"];

pub struct TransformResponse {
    /// Both ends included; empty is all.
    statuses: Vec<(u16, u16)>,
    status: Option<Template>,
    headers: HeaderChanges,
    change: Option<Change>,
    problems: bool,
    sees_request: bool,
    description: Json,
}

impl TransformResponse {
    pub fn new(settings: &snapshot::TransformResponse) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let status = settings.status.as_deref().map(|text| Template::parse(text, &VARIABLES)).transpose();
        let status = status.map_err(|error| wrong.push(format!("status: {error}"))).ok().flatten();
        let headers = HeaderChanges::compile(&settings.headers, &VARIABLES, &mut wrong);
        let change = Change::compile(&settings.content, &VARIABLES, &mut wrong);
        match wrong.is_empty() {
            true => Ok(Self {
                statuses: settings.statuses.clone(),
                status,
                headers,
                change,
                problems: settings.problems,
                sees_request: names("$request", settings),
                description: json!({
                    "statuses": settings.statuses, "status": settings.status,
                    "headers": describe_changes(&settings.headers), "content": Change::describe(&settings.content),
                    "problems": settings.problems,
                }),
            }),
            false => Err(wrong),
        }
    }

    pub fn describe(&self) -> Json {
        self.description.clone()
    }

    pub fn sees_request(&self) -> bool {
        self.sees_request
    }

    pub fn reads_content(&self) -> bool {
        self.change.is_some() || self.problems
    }

    /// An answer that is to be read must be whole, and is best not compressed, since it would be decoded at once.
    pub fn ask_for_the_whole(headers: &mut HeaderMap) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }

    /// Just before the target.
    pub fn before_target(&self, exchange: &mut Exchange, head: &mut RequestHead) -> Result<(), Error> {
        if self.reads_content() {
            Self::ask_for_the_whole(&mut head.headers);
        }
        if self.sees_request {
            exchange.described = Some(described::describe(exchange, &head.headers, Value::Null)?);
        }
        Ok(())
    }

    /// The answer of the target; errors of the gateway's own never come here.
    pub async fn on_answer(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        let request = exchange.described.take().unwrap_or_default();
        self.apply(worker, exchange, request, answer).await
    }

    /// `request` is what expressions see.
    pub async fn apply(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        exchange: &Exchange,
        request: Value,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        let status = answer.status().as_u16();
        // gRPC has neither such contents nor such statuses, and what follows a 101 is no content.
        if exchange.call.is_some() || answer.status().is_informational() {
            return Ok(answer);
        }
        let (mut head, mut body) = answer.into_parts();
        let is_problem = self.problems && status >= 400;
        if !is_problem && !self.covers(status) {
            return Ok(Response::from_parts(head, body));
        }
        let headers = described::fields(&head.headers).map_err(|error| failed("response's headers", error))?;
        let variables = Rc::new(Variables(vec![request, Value::from(usize::from(status)), headers]));
        match &self.change {
            _ if is_problem => body = problem::normalise(exchange, &mut head, body).await?,
            Some(change) => body = self.transform(worker, exchange, change, &mut head, body, &variables).await?,
            None => {}
        }
        if self.covers(status) {
            self.headers.apply(worker, &mut head.headers, &variables).await?;
            if let Some(template) = &self.status {
                let made = variables.evaluate(worker, template, "response's status").await?;
                head.status = status_of(&made)?;
            }
        }
        Ok(Response::from_parts(head, body))
    }

    fn covers(&self, status: u16) -> bool {
        self.statuses.is_empty() || self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }

    async fn transform(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        exchange: &Exchange,
        change: &Change,
        head: &mut ResponseHead,
        mut body: Body,
        variables: &Rc<Variables>,
    ) -> Result<Body, Error> {
        if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(body);
        }
        let format = content::format(&head.headers);
        if exchange.method == Method::HEAD {
            if let Some((format, _)) = format {
                change.rewrite(&mut head.headers, format);
            }
            return Ok(body);
        }
        if let Some((framing, coding)) = Framing::of(&head.headers).zip(Coding::of(&head.headers)) {
            if coding != Coding::Identity {
                body = Body::stream(Decoded::new(body, coding));
            }
            content::rewrite(&mut head.headers);
            return Ok(Body::stream(Events::new(body, framing, change.most, worker, self, variables)));
        }
        let whole = head.status != StatusCode::PARTIAL_CONTENT;
        let Some((format, coding)) = format.filter(|_| whole) else {
            return match change.refuses_other && !body.is_end_stream() {
                true => Err(Error::new(Kind::BadReply, "the service's answer is not of a kind that can be changed")),
                false => Ok(body),
            };
        };
        let too_large = |what: &str| {
            Error::new(Kind::BadReply, format!("the service's answer is larger than {} bytes{what}", change.most))
        };
        let Some(content) = body.peek(change.most).await? else { return Err(too_large("")) };
        if content.is_empty() {
            return Ok(body);
        }
        let content = coding.decode(&content, change.most).map_err(|fault| match fault {
            Fault::Damaged => Error::new(Kind::BadReply, "the service's answer is not what its Content-Encoding says"),
            Fault::TooLarge => too_large(", decoded"),
        })?;
        let made = change.apply(worker, &head.headers, &content, format, variables).await.map_err(told)?;
        change.rewrite(&mut head.headers, format);
        Ok(Body::full(made))
    }

    /// One JSON value of a stream; None where it is left out, or the value itself where it is none and may be.
    pub(super) async fn event(
        &self,
        worker: &Worker,
        event: bytes::Bytes,
        variables: &Variables,
    ) -> Result<Option<bytes::Bytes>, Error> {
        let Some(change) = &self.change else { return Ok(Some(event)) };
        match change.apply_to_event(worker, &event, variables).await {
            Err(Wrong::Content(_)) if !change.refuses_other => Ok(Some(event)),
            outcome => outcome.map_err(told),
        }
    }
}

fn told(wrong: Wrong) -> Error {
    match wrong {
        Wrong::Content(why) => Error::new(Kind::BadReply, format!("the service's answer cannot be read: {why}")),
        Wrong::Unwritable(why) => Error::new(Kind::BadReply, format!("the service's answer cannot be used: {why}")),
        Wrong::Change(cause) => failed("response's content", cause),
    }
}

fn status_of(made: &Value) -> Result<StatusCode, Error> {
    let number = match made {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_integer().and_then(|number| u16::try_from(number).ok()),
    };
    let status =
        number.filter(|number| (200..=599).contains(number)).and_then(|number| StatusCode::from_u16(number).ok());
    status.ok_or_else(|| failed("response's status", "it is no number from 200 to 599"))
}
