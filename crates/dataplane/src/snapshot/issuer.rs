//! Who issues tokens, and which of them a route takes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{AccessToken, Bound, Dpop, Secret, StepUp};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// `iss` of its tokens, exactly.
    pub issuer: String,
    /// Those that its tokens may be signed with.
    pub algorithms: Vec<String>,
    /// A JWK set.
    pub jwks: Option<String>,
    /// Each one key in PEM.
    pub public_keys: Vec<String>,
    /// For HS256, HS384 and HS512.
    pub secret: Option<Secret>,
    /// Where the control plane fetches its keys and metadata; absent: it does not.
    #[serde(default)]
    pub source: Option<String>,
    /// By their names in the metadata (RFC 8414 §2), without `_endpoint`.
    #[serde(default)]
    pub endpoints: BTreeMap<String, IssuerEndpoint>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEndpoint {
    pub url: String,
    /// Of the URL: `host` or `host:port`.
    pub authority: String,
    /// Of the URL: path and query.
    pub path: String,
    /// Through which it is called; null: only browsers go there.
    pub cluster: Option<String>,
}

/// What an issuer publishes, as the control plane has fetched it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// A JWK set (RFC 7517 §5).
    pub jwks: Option<String>,
    pub endpoints: BTreeMap<String, IssuerEndpoint>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    pub issuers: Vec<String>,
    /// `aud` holds one of them; empty: any.
    pub audience: Vec<String>,
    /// Media types of `typ`, lower-case and without `application/`; empty: any, or none.
    pub types: Vec<String>,
    pub skew_s: u64,
    /// Claims that are there, with these values.
    pub required: BTreeMap<String, Value>,
    pub claims: Claims,
    pub max_bytes: usize,
    /// Whether endpoints see the token.
    pub forward: bool,
    /// What every token must be bound to; one that is bound is never good without its proof.
    #[serde(default)]
    pub bound: Option<Bound>,
    #[serde(default)]
    pub dpop: Option<Dpop>,
    #[serde(default)]
    pub step_up: Option<StepUp>,
}

impl Jwt {
    /// What it asks of a token like other schemes.
    pub fn access_token(&self) -> AccessToken {
        AccessToken {
            audience: self.audience.clone(),
            skew_s: self.skew_s,
            required: self.required.clone(),
            claims: self.claims.clone(),
            max_bytes: self.max_bytes,
            forward: self.forward,
            bound: self.bound,
            dpop: self.dpop.clone(),
            step_up: self.step_up.clone(),
        }
    }
}

/// Where claims say what is asked: JSON Pointers into them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub subject: String,
    pub groups: Option<String>,
    /// Absent: `scope`, else `scp`.
    pub scopes: Option<String>,
    pub plan: Option<String>,
    /// Of headers that endpoints get.
    pub headers: BTreeMap<String, String>,
}
