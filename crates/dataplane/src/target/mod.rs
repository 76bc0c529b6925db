//! Where a route ends: a cluster, several calls put together, a workflow, the status of an execution, the events of
//! workflows, or a fixed response.

pub mod aggregate;
pub mod events;
pub mod execution;
pub mod forward;
pub mod reflect;
pub mod respond;
pub mod workflow;

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::Cluster;
use crate::policy::upgrade::Upgrade;
use crate::program::Report;
use crate::route::pattern::PathPattern;
use crate::shared::Shared;
use crate::snapshot;

pub enum Target {
    Cluster(forward::ForwardTarget),
    Aggregate(Box<aggregate::AggregateTarget>),
    Workflow(workflow::WorkflowTarget),
    Execution(execution::ExecutionTarget),
    Events,
    Response(respond::FixedResponse),
}

/// What a target may refer to while it is compiled.
pub struct Context<'a> {
    /// The route's id.
    pub route: &'a Arc<str>,
    pub path: &'a PathPattern,
    pub clusters: &'a HashMap<Arc<str>, Arc<Cluster>>,
    pub snapshot: &'a snapshot::Snapshot,
    pub shared: &'a Shared,
}

impl Context<'_> {
    pub fn error(&self, report: &mut Report, message: impl std::fmt::Display) {
        report.error(format!("route '{}': target: {message}", self.route));
    }
}

impl Target {
    /// What it is connected by can go over to one of these protocols (RFC 9110 §7.8; in HTTP/2 WebSocket alone, RFC 8441).
    pub fn can_switch(&self, upgrade: &Upgrade) -> bool {
        matches!(self, Target::Cluster(target) if target.cluster.may_speak_http1() || upgrade.allows_websocket())
    }

    /// Whether some service behind it is asked with tokens for those of callers.
    pub fn exchanges_tokens(&self) -> bool {
        match self {
            Target::Cluster(target) => target.cluster.exchanges_tokens(),
            Target::Aggregate(target) => target.clusters().any(|cluster| cluster.exchanges_tokens()),
            Target::Workflow(_) | Target::Execution(_) | Target::Events | Target::Response(_) => false,
        }
    }

    /// Every mistake goes to `report`; None then.
    pub fn compile(target: &snapshot::Target, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        Some(match target {
            snapshot::Target::Cluster(settings) => {
                Target::Cluster(forward::ForwardTarget::compile(settings, context, report)?)
            }
            snapshot::Target::Aggregate(settings) => {
                Target::Aggregate(Box::new(aggregate::AggregateTarget::compile(settings, context, report)?))
            }
            snapshot::Target::Workflow(settings) => {
                Target::Workflow(workflow::WorkflowTarget::compile(settings, context, report)?)
            }
            snapshot::Target::Execution(settings) => {
                Target::Execution(execution::ExecutionTarget::compile(settings, context, report)?)
            }
            snapshot::Target::Events(snapshot::EventsTarget {}) => Target::Events,
            snapshot::Target::Response(settings) => {
                Target::Response(respond::FixedResponse::compile(settings, context, report)?)
            }
        })
    }
}
