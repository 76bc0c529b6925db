//! The target `aggregate`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Cache, Retry, Shape};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateTarget {
    /// In the order in which their answers stand in the body.
    pub calls: Vec<AggregateCall>,
    /// All calls together.
    pub timeout_ms: u64,
    /// All answers together; more is 502.
    pub body_bytes: usize,
    /// The key of the body under which failed calls are told; absent: only a header tells of them.
    pub problems: Option<String>,
    pub response: AggregateResponse,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateResponse {
    pub status: u16,
    /// Text, or with `${ jq }` over the request, `answers` and `problems`.
    pub headers: BTreeMap<String, String>,
    /// `${ jq }` over the same; absent: one key for each call.
    pub body: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateCall {
    pub name: String,
    pub cluster: String,
    pub method: String,
    /// Text with `{params.id}` and the like, or with `${ jq }`; so are the values of `query` and `headers`.
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON.
    pub body: Option<String>,
    /// Changes nothing, whatever its method.
    pub safe: bool,
    /// Names of the calls whose answers it needs.
    pub after: Vec<String>,
    /// `${ jq }`: not made where that is false or null.
    #[serde(rename = "if")]
    pub condition: Option<String>,
    pub each: Option<Each>,
    /// Absent: the cluster's.
    pub timeout_ms: Option<u64>,
    /// Absent: the cluster's.
    pub retry: Option<Retry>,
    /// Its answers are kept and used again.
    pub cache: Option<Cache>,
    pub optional: bool,
    /// JSON that stands for an answer there is none of.
    pub default: Option<String>,
    pub format: AnswerFormat,
    /// Of one answer; more is a failure.
    pub body_bytes: usize,
    /// jq over the answer; goes before `shape`.
    pub filter: Option<String>,
    pub shape: Shape,
    /// The key of an object in the body that holds the answers of all calls of this group.
    pub group: Option<String>,
}

/// One call for each item of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// `${ jq }` that yields a list.
    #[serde(rename = "in")]
    pub items: String,
    pub parallel: usize,
    /// Items; more is a failure.
    pub most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    Json,
    /// Becomes a string.
    Text,
}
