//! The policy `graphql`.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graphql {
    /// The name of a schema among the snapshot's documents: a string in its definition language.
    pub schema: Option<String>,
    /// What the schema does not have passes.
    pub unknown: bool,
    pub trusted: Option<TrustedDocuments>,
    /// Documents that came once may be asked for by their SHA-256.
    pub automatic: bool,
    /// The kinds that are let through.
    pub operations: Vec<OperationKind>,
    pub limits: GraphqlLimits,
    pub cost: GraphqlCost,
    pub introspection: AllowedCallers,
    /// Operations of one request that is a list; 0 refuses lists.
    pub batch: usize,
    /// Content that is read; more is 413.
    pub body_bytes: usize,
    /// Media types of requests that pass unread, `type/subtype`, lower-case.
    pub unread: Vec<String>,
    /// Headers that no page of another site can send unasked; empty: nothing is asked for.
    pub csrf_headers: Vec<String>,
    /// WebSockets pass, unread.
    pub websocket: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedDocuments {
    /// Names among the snapshot's documents, each a map from a file's name to its content: text, or a manifest.
    pub files: Vec<String>,
    /// Others are refused.
    pub only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphqlLimits {
    pub tokens: u64,
    pub depth: u64,
    pub fields: u64,
    pub aliases: u64,
    pub root_fields: u64,
    pub directives: u64,
    /// Of all operations of a request together.
    pub cost: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphqlCost {
    pub object: u64,
    pub leaf: u64,
    /// Items of a list of which nothing says how long it is.
    pub list: u64,
    /// Paths into arguments that say how long a list is.
    pub lengths: Vec<String>,
    /// Of `Type.field` or `field`.
    pub fields: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedCallers {
    pub all: bool,
    pub consumers: Vec<String>,
    pub groups: Vec<String>,
}
