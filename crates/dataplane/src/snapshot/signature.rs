//! HTTP message signatures (RFC 9421) and the keys of those who sign.

use serde::Deserialize;

use super::Secret;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// That must be covered, as they are. Digests only where there is content.
    pub components: Vec<String>,
    pub max_age_s: u64,
    /// How far the client's clock and ours may differ.
    pub skew_s: u64,
    /// Whether there must be one.
    pub nonce: bool,
    /// Only signatures with this `tag` are looked at.
    pub tag: Option<String>,
    /// The longest body of which a digest is verified.
    pub max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureKey {
    /// `keyid`.
    pub id: String,
    /// Of RFC 9421 §3.3.
    pub algorithm: String,
    /// In PEM or as a JWK.
    pub public_key: Option<String>,
    /// In base64.
    pub secret: Option<Secret>,
}
