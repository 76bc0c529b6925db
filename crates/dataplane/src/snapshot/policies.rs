//! The policies of a route, those without a file of their own included.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Authenticate, Authorize, Cache, Csrf, Graphql, SecurityHeaders, TransformRequest, TransformResponse, Translate,
    Validate,
};

/// What is left out is off: defaults have been merged by the control plane.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    pub limits: Option<Limits>,
    pub request_id: Option<RequestId>,
    pub access_log: Option<AccessLog>,
    pub cors: Option<Cors>,
    pub authenticate: Option<Authenticate>,
    #[serde(default)]
    pub rate_limit: Vec<RateLimit>,
    pub headers: Option<Headers>,
    pub grpc_web: Option<GrpcWeb>,
    pub upgrade: Option<Upgrade>,
    pub compress: Option<Compress>,
    pub hsts: Option<Hsts>,
    pub csrf: Option<Csrf>,
    pub authorize: Option<Authorize>,
    pub security_headers: Option<SecurityHeaders>,
    pub validate: Option<Validate>,
    pub graphql: Option<Graphql>,
    pub cache: Option<Cache>,
    pub transform_request: Option<TransformRequest>,
    pub transform_response: Option<TransformResponse>,
    pub translate: Option<Translate>,
}

/// Calls of gRPC-Web are translated to gRPC.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcWeb {}

/// Clients may go over to another protocol.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// Names from the registry of upgrade tokens, lower-case: `websocket`.
    pub protocols: Vec<String>,
    /// Between two bytes in either direction; then the connection is closed.
    pub idle_ms: u64,
    /// How long upgraded connections live on once the gateway drains.
    pub drain_ms: u64,
    /// Upgraded connections of the route at once over all workers; one more is 503.
    pub connections: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compress {
    /// In the order of preference; none twice.
    pub algorithms: Vec<Algorithm>,
    /// Shorter content goes as it is.
    pub min_bytes: u64,
    /// `type/subtype`, `type/*` or `type/*+suffix`, lower-case.
    pub types: Vec<String>,
    /// Streams of events too.
    pub streams: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    Zstd,
    Br,
    Gzip,
}

impl Algorithm {
    /// The name of its content coding (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Zstd => "zstd",
            Algorithm::Br => "br",
            Algorithm::Gzip => "gzip",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    pub max_age_s: u64,
    pub include_subdomains: bool,
    pub preload: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// More is 413.
    pub body_bytes: u64,
    /// The whole exchange; longer is 504. Absent: the cluster's own.
    pub request_ms: Option<u64>,
    /// Between two pieces of a response that is a stream, which the cluster's time bounds only until its head. Absent: no
    /// bound.
    #[serde(default)]
    pub stream_idle_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestId {
    /// Lower-case header name, downstream, upstream and in the response.
    pub header: String,
    /// Take over a valid id that the client sent (1–128 of `A-Za-z0-9._-`); otherwise one is made.
    pub accept: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// `stdout`, `stderr`, or a file's path.
    pub path: String,
    /// Request headers to record, lower-case; credentials are recorded as `[redacted]`.
    pub headers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// `*`, or origins as browsers send them; the host may begin with `*.`, the port may be `*`.
    pub origins: Vec<String>,
    pub methods: Vec<String>,
    pub headers: Vec<String>,
    pub expose: Vec<String>,
    pub credentials: bool,
    /// Whether pages of the public network may ask, where this is a private one.
    #[serde(default)]
    pub private_network: bool,
    pub max_age_s: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Identity of the counter across snapshots: route and position, or a name shared by several routes.
    pub id: String,
    pub limit: u64,
    pub per_ms: u64,
    /// Requests that may come at once; `limit` unless set.
    pub burst: u64,
    pub by: RateKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateKey {
    Consumer,
    Address,
    Route,
    Header(String),
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    #[serde(default)]
    pub request: HeaderChanges,
    #[serde(default)]
    pub response: HeaderChanges,
}

/// Applied in the order remove, set, add.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderChanges {
    #[serde(default)]
    pub remove: Vec<String>,
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    #[serde(default)]
    pub add: BTreeMap<String, String>,
}
