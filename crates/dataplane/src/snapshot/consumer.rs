//! Who may call and what they may use: of the configuration in a snapshot, of the registry by itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Certificate, Secret, SignatureKey};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    pub api_key_sha256: Vec<ApiKey>,
    pub groups: Vec<String>,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub plan: Option<String>,
    #[serde(default)]
    pub basic: Vec<User>,
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    #[serde(default)]
    pub signature_keys: Vec<SignatureKey>,
    /// By API, the version that it is pinned to.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

/// A key that is good wherever its consumer may call, or one that is not.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ApiKey {
    /// Its SHA-256, lower-case hex.
    Anywhere(String),
    Restricted(RestrictedKey),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestrictedKey {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Names it in logs and headers; absent: its consumer's name and its position.
    pub id: Option<String>,
    /// In place of its consumer's.
    pub scopes: Option<Vec<String>>,
    /// Seconds since 1970; from then on it is not valid.
    pub expires: Option<u64>,
    pub routes: Option<Vec<String>>,
    /// Addresses and networks (CIDR).
    pub networks: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub id: String,
    pub username: String,
    /// Of the password: `$argon2id$…` or `$2b$…`.
    pub phc: Secret,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    #[serde(default)]
    pub rate_limit: Vec<PlanRate>,
}

/// Counted for each consumer of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRate {
    pub limit: u64,
    pub per_ms: u64,
    pub burst: u64,
}

/// All that the store knows of consumers, each time as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Hex; the keys' HMACs are made with it.
    pub hmac_key: Secret,
    pub consumers: BTreeMap<String, RegisteredConsumer>,
    #[serde(default)]
    pub plans: BTreeMap<String, Plan>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredConsumer {
    pub groups: Vec<String>,
    pub plan: Option<String>,
    /// None of its credentials is valid.
    #[serde(default)]
    pub disabled: bool,
    #[serde(default)]
    pub api_keys: Vec<RegisteredKey>,
    #[serde(default)]
    pub basic: Vec<Registered<Login>>,
    #[serde(default)]
    pub certificates: Vec<Registered<Certificate>>,
    #[serde(default)]
    pub signature_keys: Vec<Registered<SignatureKey>>,
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

/// A credential that is no API key, and how long, where and for what it is good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered<T> {
    pub id: String,
    pub credential: T,
    #[serde(default)]
    pub scopes: Vec<String>,
    pub expires: Option<u64>,
    pub routes: Option<Vec<String>>,
    pub networks: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub username: String,
    /// Of the password: `$argon2id$…` or `$2b$…`.
    pub phc: Secret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredKey {
    pub id: String,
    /// Of a key `sd_PREFIX_SECRET`.
    pub prefix: String,
    /// HMAC-SHA256 of the whole key, lower-case hex.
    pub hmac_sha256: String,
    #[serde(default)]
    pub scopes: Vec<String>,
    pub expires: Option<u64>,
    pub routes: Option<Vec<String>>,
    pub networks: Option<Vec<String>>,
}
