//! Who issues tokens, and which of them a route takes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Secret;

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
    /// That its endpoints are called through.
    #[serde(default)]
    pub cluster: Option<String>,
    #[serde(default)]
    pub endpoints: Option<Endpoints>,
}

/// Where an OpenID provider is asked (OpenID Connect Discovery §3).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// An URL for browsers.
    pub authorization: String,
    /// A path on the issuer's cluster.
    pub token: String,
    /// An URL for browsers; absent: logouts are ours alone.
    pub end_session: Option<String>,
    /// Whether every authorization response names its issuer (RFC 9207 §3); one that names another is refused anyway.
    pub iss_parameter: bool,
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
    /// JSON Pointers into the claims.
    pub subject: String,
    pub groups: Option<String>,
    pub scopes: Option<String>,
    pub max_bytes: usize,
    /// Whether endpoints see the token.
    pub forward: bool,
    /// What every token must be bound to; one that is bound is never good without its proof.
    #[serde(default)]
    pub bound: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The client's certificate (RFC 8705).
    Mtls,
}
