//! A target that shows the status of an execution, by a callout to the control plane.

use std::sync::Arc;

use super::Context;
use crate::program::Report;
use crate::snapshot;

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
}
