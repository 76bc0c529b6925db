//! What `jwt` and `introspection` ask of an access token alike.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Claims, Secret};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// `aud` holds one of them; empty: any.
    pub audience: Vec<String>,
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
    /// Absent: tokens with proofs are not taken.
    #[serde(default)]
    pub dpop: Option<Dpop>,
    #[serde(default)]
    pub step_up: Option<StepUp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The client's certificate (RFC 8705).
    Mtls,
}

/// Proofs of possession (RFC 9449).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dpop {
    /// Whether tokens without one are refused.
    pub required: bool,
    pub algorithms: Vec<String>,
    /// How old a proof may be.
    pub max_age_s: u64,
    /// Absent: proofs need no nonce of ours.
    pub nonce: Option<Nonce>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nonce {
    /// How long one is given out; it is taken for twice as long.
    pub every_s: u64,
    /// The first makes nonces, all are taken; empty: one that each process makes up.
    pub secrets: Vec<Secret>,
}

/// How the user must have been authenticated (RFC 9470).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// `acr` is one of them; empty: any.
    pub acr_values: Vec<String>,
    /// How long ago at most.
    pub max_age_s: Option<u64>,
}
