//! Who may call, and the ways to prove it.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authenticate {
    /// The first that finds its credential decides; a wrong credential never falls through.
    pub any: Vec<Scheme>,
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
}

impl Scheme {
    /// The header of its own that carries the credential.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::ApiKey { header, .. } => header.as_deref(),
        }
    }
}
