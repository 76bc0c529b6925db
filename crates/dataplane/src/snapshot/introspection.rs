//! Tokens that their issuer is asked about (RFC 7662).

use serde::Deserialize;

use super::{AccessToken, ClientAuthentication, Secret};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Of `issuers`.
    pub issuer: String,
    /// Who asks.
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub client_authentication: ClientAuthentication,
    /// What `token_type` says, in lower case; empty: anything, or nothing.
    pub types: Vec<String>,
    /// Of one question.
    pub timeout_ms: u64,
    pub remember: Remember,
    pub token: AccessToken,
}

/// How long answers are good without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remember {
    /// No longer than the token's own `exp`.
    pub active_ms: u64,
    pub inactive_ms: u64,
}
