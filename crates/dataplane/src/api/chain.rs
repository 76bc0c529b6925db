//! The way of a request from its version to the one that is implemented, and of the answer back: step by step, each with
//! the transformations that the policies have too.

use std::rc::Rc;
use std::sync::Arc;

use http::Response;
use stagedoor_expression::Value;

use super::Api;
use crate::described;
use crate::error::Error;
use crate::exchange::{Exchange, Raised};
use crate::policy::transform::{TransformRequest, TransformResponse};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::snapshot::StepChanges;
use crate::worker::Worker;

/// From one version to the next.
#[derive(Default)]
pub struct Step {
    pub up: Option<Box<TransformRequest>>,
    pub down: Option<Arc<TransformResponse>>,
    pub down_errors: Option<Arc<TransformResponse>>,
    sees_request: bool,
    /// An answer has to be read, and so must be whole and not compressed.
    reads_answers: bool,
}

impl Step {
    /// Every mistake is added to `wrong`, after `place`.
    pub fn compile(changes: &StepChanges, place: &str, wrong: &mut Vec<String>) -> Self {
        let mut note = |part: &str, mistakes: Vec<String>| {
            wrong.extend(mistakes.into_iter().map(|mistake| format!("{place}{part}: {mistake}")));
        };
        let up = changes.up.as_ref().map(TransformRequest::new).transpose();
        let up = up.map_err(|mistakes| note("up", mistakes)).ok().flatten();
        let mut response = |part: &str, settings: &Option<_>| {
            let made = settings.as_ref().map(TransformResponse::new).transpose();
            made.map_err(|mistakes| note(part, mistakes)).ok().flatten().map(Arc::new)
        };
        let (down, down_errors) = (response("down", &changes.down), response("down_errors", &changes.down_errors));
        let answers = || down.iter().chain(&down_errors);
        Self {
            sees_request: up.as_ref().is_some_and(TransformRequest::sees_request)
                || answers().any(|policy| policy.sees_request()),
            reads_answers: answers().any(|policy| policy.reads_content()),
            up: up.map(Box::new),
            down,
            down_errors,
        }
    }

    pub fn down(&self, status: u16) -> Option<&Arc<TransformResponse>> {
        if status < 400 {
            self.down.as_ref()
        } else {
            self.down_errors.as_ref()
        }
    }
}

/// The steps of one version on one route.
pub struct Chain {
    pub steps: Box<[Arc<Step>]>,
    /// The version that the target is asked for.
    pub end: usize,
}

impl Chain {
    /// `own`: what the route says of the step from a version, in place of the API.
    pub fn new(api: &Api, from: usize, own: impl Fn(usize) -> Option<Arc<Step>>) -> Self {
        let (mut steps, mut end) = (Vec::new(), from);
        while let Some((to, step)) = &api.versions[end].step {
            steps.push(own(end).unwrap_or_else(|| step.clone()));
            end = *to;
        }
        Self { steps: steps.into(), end }
    }

    /// The request as the last version has it. Of path and query `raised` tells what they are; `seen` is what each step
    /// was given.
    pub async fn up(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
    ) -> Result<(), Error> {
        for step in &self.steps {
            let request = match step.sees_request {
                true => described::describe(exchange, &head.headers, Value::Null)?,
                false => Value::Null,
            };
            if let Some(policy) = &step.up {
                let query = exchange.asked_query().unwrap_or_default().to_owned();
                let rewritten = policy.apply(worker, request.clone(), &query, head, body).await?;
                let raised: &mut Raised = exchange.raised.get_or_insert_default();
                if head.method != exchange.method {
                    raised.method = Some(head.method.clone());
                }
                if let Some(rewritten) = rewritten {
                    raised.take(*rewritten, &query);
                }
            }
            exchange.raised.get_or_insert_default().seen.push(request);
        }
        if self.steps.iter().any(|step| step.reads_answers) {
            TransformResponse::ask_for_the_whole(&mut head.headers);
        }
        Ok(())
    }

    /// The answer as the first version has it.
    pub async fn down(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        mut answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        for (index, step) in self.steps.iter().enumerate().rev() {
            let Some(policy) = step.down(answer.status().as_u16()) else { continue };
            let seen = exchange.raised.as_mut().and_then(|raised| raised.seen.get_mut(index)).map(std::mem::take);
            answer = policy.apply(worker, exchange, seen.unwrap_or_default(), answer).await?;
        }
        Ok(answer)
    }
}
