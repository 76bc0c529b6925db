//! A target that starts an execution of a workflow, or joins one, by a callout to the control plane.

pub(crate) mod input;
pub mod preference;
pub(super) mod response;

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use stagedoor_expression::Template;

use self::preference::Preference;
use self::response::ResponseMapping;
use super::Context;
use crate::callout::{self, Execute, Notice};
use crate::described;
use crate::error::{Error, Kind};
use crate::evaluation::{self, evaluate};
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::route::template::PathTemplate;
use crate::snapshot;
use crate::worker::Worker;

/// Beyond its wait, how long an answer of the engine may take before the client gets 504.
const ENGINE_GRACE: Duration = Duration::from_secs(30);

pub struct WorkflowTarget {
    pub settings: snapshot::WorkflowTarget,
    /// Its one name beside the route's own is `execution`.
    pub status_path: PathTemplate,
    input: Template,
    response: ResponseMapping,
}

impl WorkflowTarget {
    pub fn compile(settings: &snapshot::WorkflowTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let status_path = PathTemplate::compile(&settings.status_path, context.path.names(), &["execution"])
            .map_err(|message| context.error(report, format_args!("status_path: {message}")));
        let input = evaluation::compile(&settings.input).map_err(|message| {
            context.error(report, format_args!("input: {message}"));
        });
        let response = ResponseMapping::compile(&settings.response, context, report);
        Some(Self {
            settings: settings.clone(),
            status_path: status_path.ok()?,
            input: input.ok()?,
            response: response?,
        })
    }

    pub async fn run(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let (head, body) = request.into_parts();
        let preference = Preference::of(&head.headers);
        let idempotency_key = preference::idempotency_key(&head.headers)?;
        let body = input::collect(&head.headers, body).await?;
        let request = described::describe(exchange, &head.headers, body)?;
        let input = evaluate(worker, &self.input, &request).await.map_err(|error| {
            Error::new(Kind::ExpressionFailed, "The workflow's input could not be made from the request").cause(error)
        })?;
        let wait_ms = preference.wait_ms(self.settings.wait_ms);
        let patience = Instant::now() + Duration::from_millis(wait_ms) + ENGINE_GRACE;
        let route = exchange.route.as_ref().map(|route| route.id.to_string()).unwrap_or_default();
        let notice = |callout| {
            Notice::Execute(Execute {
                callout,
                route,
                workflow: self.settings.workflow.clone(),
                input,
                consumer: exchange.caller().map(str::to_owned),
                subject: exchange.consumer.as_ref().and_then(|consumer| consumer.subject.clone()),
                idempotency_key,
                traceparent: exchange.trace.as_str().to_owned(),
                request_id: request_id(exchange),
                wait_ms,
            })
        };
        let answer = callout::ask(worker, exchange.deadline.min(patience), notice).await?;
        self.respond(worker, exchange, preference, answer).await
    }
}

fn request_id(exchange: &Exchange) -> String {
    exchange.request_id().to_str().unwrap_or_default().to_owned()
}
