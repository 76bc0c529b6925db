//! Which requests a route is for, and what answers them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{AggregateTarget, Policies, RouteApi};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    #[serde(rename = "match")]
    pub matches: Match,
    pub priority: i32,
    /// Absent: it belongs to none.
    #[serde(default)]
    pub api: Option<RouteApi>,
    pub policies: Policies,
    pub target: Target,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `example.com` or `*.example.com`; empty is any host.
    pub hosts: Vec<String>,
    /// Exact, with `{param}` segments, or with a last `{rest...}`.
    pub path: String,
    /// Empty is any method. GET also matches HEAD.
    pub methods: Vec<String>,
    pub headers: BTreeMap<String, ValueMatch>,
    pub query: BTreeMap<String, ValueMatch>,
    /// Of its API those that it answers; empty is all.
    #[serde(default)]
    pub versions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    Present,
    Exact(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Cluster(ForwardTarget),
    Aggregate(AggregateTarget),
    Workflow(WorkflowTarget),
    /// The status resource of executions that a workflow route started; made by the control plane beside each of those.
    Execution(ExecutionTarget),
    Events(EventsTarget),
    Response(FixedResponse),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardTarget {
    pub cluster: String,
    /// Template of the path to ask for, with the route's `{param}`s; absent: the path as it was routed.
    pub path: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowTarget {
    /// `namespace/name`.
    pub workflow: String,
    /// jq over `{method, path, params, query, headers, consumer, body}`.
    pub input: String,
    pub wait_ms: u64,
    /// Template of the status resource's path, with the route's `{param}`s and `{execution}`.
    pub status_path: String,
    pub response: WorkflowResponse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowResponse {
    pub status: u16,
    /// Values are text or `${ jq }` over the workflow's output.
    pub headers: BTreeMap<String, String>,
    /// `${ jq }` over the workflow's output; absent: the output itself.
    pub body: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionTarget {
    /// The workflow route whose executions are shown.
    pub route: String,
}

/// CloudEvents for workflows. Which ones a route takes is the control plane's to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsTarget {}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedResponse {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}
