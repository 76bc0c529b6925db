//! A target that starts an execution of a workflow, by a callout to the control plane.

use super::Context;
use crate::program::Report;
use crate::route::template::PathTemplate;
use crate::snapshot;

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
}
