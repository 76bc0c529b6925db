//! A target that shows the status of an execution, by a callout to the control plane.

use std::sync::Arc;

use std::rc::Rc;

use http::Response;

use super::Context;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

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
        Some(Self { route: settings.route.as_str().into() })
    }

    pub async fn run(&self, _worker: &Rc<Worker>, _exchange: &Exchange) -> Result<Response<Body>, Error> {
        Err(Error::new(Kind::EngineUnavailable, "There is no workflow engine"))
    }
}
