//! A target that starts an execution of a workflow, by a callout to the control plane.

use std::rc::Rc;

use http::{Request, Response};

use super::Context;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::route::template::PathTemplate;
use crate::snapshot;
use crate::worker::Worker;

pub struct WorkflowTarget {
    pub settings: snapshot::WorkflowTarget,
    /// Its one name beside the route's own is `execution`.
    pub status_path: PathTemplate,
}

impl WorkflowTarget {
    pub fn compile(settings: &snapshot::WorkflowTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        match PathTemplate::compile(&settings.status_path, context.path.names(), &["execution"]) {
            Ok(status_path) => Some(Self { settings: settings.clone(), status_path }),
            Err(message) => {
                context.error(report, format_args!("status_path: {message}"));
                None
            }
        }
    }

    pub async fn run(
        &self,
        _worker: &Rc<Worker>,
        _exchange: &Exchange,
        _request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        Err(Error::new(Kind::EngineUnavailable, "There is no workflow engine"))
    }
}
