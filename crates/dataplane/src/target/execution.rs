//! A target that shows the status of an execution, by a callout to the control plane. Only the consumer that started it
//! may see it; to everybody else it does not exist.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Response, StatusCode};

use super::workflow::response::{of_json, refused};
use super::Context;
use crate::callout::{self, Answer, Notice};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

/// The parameter of the route's path that names the execution.
const PARAM: &str = "execution";
const ID_BYTES: usize = 128;
const PATIENCE: Duration = Duration::from_secs(30);

pub struct ExecutionTarget {
    /// The workflow route whose executions are shown.
    pub route: Arc<str>,
}

impl ExecutionTarget {
    pub fn compile(settings: &snapshot::ExecutionTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        if !context.snapshot.routes.contains_key(&settings.route) {
            context.error(report, format_args!("there is no route '{}'", settings.route));
            return None;
        }
        if !context.path.names().iter().any(|name| &**name == PARAM) {
            context.error(report, "the route's path needs the parameter {execution}");
            return None;
        }
        Some(Self { route: settings.route.as_str().into() })
    }

    pub async fn run(&self, worker: &Rc<Worker>, exchange: &Exchange) -> Result<Response<Body>, Error> {
        let unknown = || Error::new(Kind::ExecutionNotFound, "There is no such execution.");
        let execution = exchange.param(PARAM).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if execution.is_empty() || execution.len() > ID_BYTES || !execution.bytes().all(plain) {
            return Err(unknown());
        }
        let notice = |callout| Notice::ShowExecution {
            callout,
            route: self.route.to_string(),
            execution: execution.to_owned(),
            consumer: exchange.caller().map(str::to_owned),
        };
        let deadline = exchange.deadline.min(Instant::now() + PATIENCE);
        match callout::ask(worker, deadline, notice).await? {
            Answer::Shown { status, .. } | Answer::Running { status, .. } => Ok(of_json(StatusCode::OK, &status)),
            Answer::Refused { kind, detail, retry_after_s } => Err(refused(kind, detail, retry_after_s)),
            Answer::Completed { .. } | Answer::Faulted { .. } | Answer::Stored { .. } => Err(unknown()),
        }
    }
}
