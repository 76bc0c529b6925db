//! The contract from the control plane: the whole configuration as plain data, already checked and with every default
//! filled in by `stagedoor.config.compile`. Fields that this side does not know are refused, so the halves cannot drift.
//!
//! Units are in the names: `_ms` are milliseconds, `_bytes` are bytes. Times are never bare numbers.

mod access_token;
mod aggregate;
mod api;
mod authenticate;
mod authorize;
mod browser;
mod cache;
mod connect;
mod consumer;
mod credentials;
mod events;
mod graphql;
mod introspection;
mod issuer;
mod mtls;
mod oidc;
mod secret;
mod signature;
mod soap;
mod transform;
mod translate;
mod validate;
mod webhook;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use access_token::{AccessToken, Bound, Dpop, Nonce, StepUp};
pub use aggregate::{AggregateCall, AggregateResponse, AggregateTarget, AnswerFormat, Each};
pub use api::{Api, ApiVersion, Brownout, RouteApi, StepChanges, VersionMarker, VersionStep};
pub use authenticate::{Anonymous, Authenticate, Basic, Scheme};
pub use authorize::{Authorize, Conditions, ExtAuthz, ExtAuthzBody, ExtAuthzProtocol, Opa, Window};
pub use browser::{Csrf, SecurityHeaders};
pub use cache::{Cache, CacheDisk, CacheKeyPart, CacheQuery, CacheRanges, CacheStore};
pub use connect::TranslateConnect;
pub use consumer::{
    ApiKey, Consumer, Login, Plan, PlanRate, Registered, RegisteredConsumer, RegisteredKey, Registry, RestrictedKey,
    User,
};
pub use credentials::{
    BasicCredentials, ClientCredentials, Credentials, DigestAlgorithm, Otherwise, SignatureCredentials, TokenClient,
    TokenExchange, WebhookCredentials,
};
pub use events::{EventService, Reconnect, TranslateEvents};
pub use graphql::{AllowedCallers, Graphql, GraphqlCost, GraphqlLimits, OperationKind, TrustedDocuments};
pub use introspection::{Introspection, Remember};
pub use issuer::{Claims, Fetched, Issuer, IssuerEndpoint, Jwt};
pub use mtls::{Certificate, CertificateField, ForwardedCertificate, Mtls};
pub use oidc::{ClientAuthentication, Oidc, Session};
pub use secret::Secret;
pub use signature::{Signature, SignatureKey};
pub use soap::{
    ComplexType, Particle, SimpleKind, SoapOperation, SoapTranslation, SoapVersion, Term, UsernameToken, XmlAttribute,
    XmlContent, XmlElement, XmlName, XmlType,
};
pub use transform::{Changes, ContentChange, ContentFormat, Shape, TransformRequest, TransformResponse};
pub use translate::{
    Descriptors, GraphqlTranslation, GrpcTranslation, JsonRules, ProtoSources, Reflection, RestTranslation,
    StreamFormat, Translate,
};
pub use validate::{Validate, ValidateResponses};
pub use webhook::Webhook;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Worker threads, each with its own listener sockets and pools.
    pub workers: usize,
    pub listeners: BTreeMap<String, Listener>,
    pub consumers: BTreeMap<String, Consumer>,
    /// What consumers may use.
    #[serde(default)]
    pub plans: BTreeMap<String, Plan>,
    /// Who issues tokens.
    #[serde(default)]
    pub issuers: BTreeMap<String, Issuer>,
    pub clusters: BTreeMap<String, Cluster>,
    #[serde(default)]
    pub apis: BTreeMap<String, Api>,
    pub routes: BTreeMap<String, Route>,
    /// OpenAPI documents, JSON Schemas and files of GraphQL by name, every reference within its own document.
    #[serde(default)]
    pub documents: BTreeMap<String, serde_json::Value>,
    /// Where responses are kept for all routes that have the policy.
    #[serde(default)]
    pub cache: CacheStore,
    /// The default policies, for what a request that matches no route still gets: request id, access log, headers.
    #[serde(default)]
    pub unrouted: Policies,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `IP:PORT`, port 0 lets the system choose; or `unix:` and an absolute path.
    pub bind: String,
    /// Permission bits of the file of a Unix socket.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Addresses (CIDR) whose `Forwarded` and `X-Forwarded-*` headers are believed; `unix`: clients on a Unix socket.
    pub trusted_proxies: Vec<String>,
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whether HTTP/1.1 is spoken at all; connections that begin otherwise than with HTTP/2 are closed without it.
    #[serde(default = "on")]
    pub http1: bool,
    #[serde(default)]
    pub http2: Http2,
    pub limits: ListenerLimits,
    /// Absent: not encrypted.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Chosen by the name a client asks for; the first is for the others.
    pub certificates: Vec<CertificateFiles>,
    pub min_version: TlsVersion,
    /// Absent: clients are asked for no certificate.
    pub clients: Option<TlsClients>,
    /// From the accept to the end of the handshake; longer is cut off.
    pub handshake_ms: u64,
}

/// Absolute paths of files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate, then those that vouch for it.
    pub chain: String,
    pub key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsClients {
    /// Absolute path of the certificates that vouch for them, in PEM.
    pub ca: String,
    /// Whoever shows no certificate is turned away.
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http2 {
    /// Offered where a protocol is agreed on, which is over TLS.
    pub enabled: bool,
    /// Taken without TLS from clients that begin with it (RFC 9113 §3.3).
    pub h2c: bool,
    /// Streams of a connection at once.
    pub max_streams: u32,
}

fn on() -> bool {
    true
}

impl Default for Http2 {
    fn default() -> Self {
        Self { enabled: true, h2c: false, max_streams: 128 }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Addresses (CIDR), or `unix`, that begin each connection with a PROXY header; others never do.
    pub from: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerLimits {
    /// Request line and headers together; more is 431.
    pub head_bytes: usize,
    /// More is 414.
    pub uri_bytes: usize,
    /// More is 431.
    pub header_count: usize,
    /// Connections at once over all workers; one more is closed at once and counted.
    pub connections: usize,
    /// From the first byte of a head to its end; longer is 408.
    pub head_read_ms: u64,
    /// Between two requests of a connection; then it is closed.
    pub idle_ms: u64,
    /// Between two reads of a request body; longer is 408.
    pub body_idle_ms: u64,
    /// How long an exchange may go on after its client has shut its sending side.
    pub half_close_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub protocol: Protocol,
    /// The header in which each connection tells the client's address.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyVersion>,
    pub balance: Balance,
    pub connect_ms: u64,
    /// The whole call, every retry included; a route's own `request_ms` may be shorter.
    pub request_ms: u64,
    pub retry: Retry,
    pub ejection: Ejection,
    pub pool: Pool,
    /// For the endpoints that are called over TLS.
    #[serde(default)]
    pub tls: ClusterTls,
    /// By which the gateway proves itself to them.
    #[serde(default)]
    pub credentials: Option<Credentials>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterTls {
    /// Absolute path of the certificates that vouch for endpoints, in PEM; absent: those that the system trusts.
    pub ca: Option<String>,
    /// What their certificates must be for; absent: each endpoint's host.
    pub server_name: Option<String>,
    /// Shown to endpoints that ask for one.
    pub certificate: Option<CertificateFiles>,
    pub verify: bool,
}

impl Default for ClusterTls {
    fn default() -> Self {
        Self { ca: None, server_name: None, certificate: None, verify: true }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `host:port`.
    pub authority: String,
    #[serde(default)]
    pub tls: bool,
    pub weight: u32,
}

/// What is spoken to the endpoints of a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge, not encrypted (RFC 9113 §3.3).
    H2c,
    /// HTTP/2 over TLS; an endpoint that does not choose it (ALPN) is not reached.
    H2,
    /// Over TLS, HTTP/2 or HTTP/1.1, whichever the endpoint chooses.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyVersion {
    V1,
    V2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    RoundRobin,
    LeastRequest,
    Random,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Further attempts after the first; 0 is none.
    pub attempts: u32,
    pub connect_failure: bool,
    /// Answers that are tried again for idempotent methods whose body can be sent again.
    pub statuses: Vec<u16>,
    /// Retries at most as a share of the calls of the last ten seconds, 0–100; at least three a second are allowed.
    pub budget_percent: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ejection {
    /// Failures in a row (connect failures, resets, timeouts, 502–504) after which an endpoint is left out; 0 never.
    pub failures: u32,
    /// First time out; doubled at each further ejection up to `max_ms`. The first request after it is the probe.
    pub base_ms: u64,
    pub max_ms: u64,
    /// So many endpoints of the cluster are never left out, however they fail.
    #[serde(default = "one")]
    pub keep: usize,
}

fn one() -> usize {
    1
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Idle connections kept by each worker for each endpoint.
    pub idle: usize,
    pub idle_ms: u64,
    /// Connections of each worker to each endpoint; requests above it wait within their deadline.
    pub connections: usize,
}

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
