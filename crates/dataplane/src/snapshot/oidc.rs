//! Logins of browsers at an OpenID provider.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Claims, Secret};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Of `issuers`.
    pub issuer: String,
    pub client_id: String,
    /// Absent only where `client_authentication` is `none`.
    pub client_secret: Option<Secret>,
    pub client_authentication: ClientAuthentication,
    /// That are asked for; `openid` is among them.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request.
    pub parameters: BTreeMap<String, String>,
    /// Ours, as browsers see it; absent: as the request says.
    pub origin: Option<String>,
    /// Whether every authorization response names its issuer (RFC 9207 §3); one that names another is refused anyway.
    pub require_iss: bool,
    pub redirect_path: String,
    pub logout_path: String,
    /// Where a browser goes after its logout: a path of ours.
    pub after_logout: String,
    pub session: Session,
    pub skew_s: u64,
    /// Claims of the ID token that are there, with these values.
    pub required: BTreeMap<String, Value>,
    pub claims: Claims,
    /// Of a request to the provider.
    pub timeout_ms: u64,
}

/// How the client proves itself at the token endpoint (RFC 6749 §2.3, RFC 7591 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    ClientSecretBasic,
    ClientSecretPost,
    /// RFC 7523 §2.2.
    PrivateKeyJwt,
    None,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The first seals, all open.
    pub secrets: Vec<Secret>,
    /// From the login on.
    pub lifetime_s: u64,
    /// From the last request on.
    pub idle_s: u64,
    /// Name of its cookie, without a prefix.
    pub cookie: String,
}
