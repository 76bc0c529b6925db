//! Endpoints of one service, and how they are called.

use serde::Deserialize;

use super::{CertificateFiles, Credentials};

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
