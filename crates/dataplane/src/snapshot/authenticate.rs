//! Who may call, and the ways to prove it.

use serde::Deserialize;

use super::{Introspection, Jwt, Mtls, Oidc, Signature, Webhook};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// The first that finds its credential decides; a wrong credential never falls through.
    #[serde(default)]
    pub any: Vec<Scheme>,
    /// In place of `any`: each must find its credential.
    #[serde(default)]
    pub all: Vec<Scheme>,
    /// Who it is that presents no credential at all; absent: nobody, which is refused.
    #[serde(default)]
    pub anonymous: Option<Anonymous>,
    /// Where the metadata of the protected resource is (RFC 9728), for clients that come without a token.
    #[serde(default)]
    pub resource_metadata: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anonymous {
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    pub plan: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// What users are told that the password is for; printable ASCII.
    pub realm: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scheme {
    ApiKey {
        /// Lower-case name of the header that carries the key.
        header: Option<String>,
        /// Query parameter that carries the key; removed before forwarding.
        query: Option<String>,
    },
    Basic(Basic),
    Introspection(Box<Introspection>),
    Jwt(Box<Jwt>),
    Mtls(Mtls),
    Oidc(Box<Oidc>),
    Signature(Signature),
    Webhook(Webhook),
}

impl Authenticate {
    pub fn schemes(&self) -> impl Iterator<Item = &Scheme> {
        self.any.iter().chain(&self.all)
    }
}

impl Scheme {
    /// The header of its own that carries the credential.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::ApiKey { header, .. } => header.as_deref(),
            Self::Introspection(settings) => settings.token.dpop.as_ref().map(|_| "dpop"),
            Self::Jwt(settings) => settings.dpop.as_ref().map(|_| "dpop"),
            Self::Basic(_) | Self::Mtls(_) | Self::Oidc(_) | Self::Signature(_) | Self::Webhook(_) => None,
        }
    }
}
