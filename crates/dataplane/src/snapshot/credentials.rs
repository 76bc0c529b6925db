//! How a cluster proves itself to its endpoints.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ClientAuthentication, IssuerEndpoint, Secret};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// Lower-case names.
    Headers(BTreeMap<String, Secret>),
    Basic(BasicCredentials),
    ClientCredentials(ClientCredentials),
    TokenExchange(TokenExchange),
    Signature(SignatureCredentials),
    Webhook(WebhookCredentials),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicCredentials {
    pub username: String,
    pub password: Secret,
}

/// The gateway as a client of a token endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenClient {
    /// Of `issuers`; or else the endpoint itself.
    pub issuer: Option<String>,
    pub token_endpoint: Option<IssuerEndpoint>,
    pub client_id: String,
    pub client_authentication: ClientAuthentication,
    pub client_secret: Option<Secret>,
    /// In PEM or as a JWK, for `private_key_jwt`.
    pub private_key: Option<Secret>,
    /// `kid` of its assertions.
    pub key_id: Option<String>,
    /// Absent: what suits the key best.
    pub algorithm: Option<String>,
    /// `aud` of its assertions; absent: the token endpoint's URL.
    pub assertion_audience: Option<String>,
    pub scopes: Vec<String>,
    pub audience: Vec<String>,
    /// RFC 8707.
    pub resource: Vec<String>,
    /// Of a request to the token endpoint.
    pub timeout_ms: u64,
}

/// RFC 6749 §4.4.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    pub client: TokenClient,
}

/// RFC 8693.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenExchange {
    pub client: TokenClient,
    pub requested_token_type: Option<String>,
    /// Whether the gateway's own token says who acts for the caller.
    pub actor: bool,
    /// What becomes of callers without a token.
    pub otherwise: Otherwise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    Refuse,
    ClientCredentials,
}

/// RFC 9421.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureCredentials {
    pub key_id: String,
    /// Of RFC 9421 §3.3.
    pub algorithm: String,
    /// In PEM or as a JWK.
    pub private_key: Option<Secret>,
    /// In base64.
    pub secret: Option<Secret>,
    /// What is signed where it is there; the digest of the content comes by itself.
    pub components: Vec<String>,
    /// RFC 9530; absent: none is sent, and content streams.
    pub digest: Option<DigestAlgorithm>,
    /// The longest content of which a digest is made.
    pub max_bytes: usize,
    /// Whether longer content goes without a digest; else it is refused.
    pub larger_undigested: bool,
    pub expires_s: Option<u64>,
    pub nonce: bool,
    pub tag: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum DigestAlgorithm {
    #[serde(rename = "sha-256")]
    Sha256,
    #[serde(rename = "sha-512")]
    Sha512,
}

/// Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookCredentials {
    /// `whsec_…`; each signs.
    pub secrets: Vec<Secret>,
    /// The longest content.
    pub max_bytes: usize,
}
