//! The token by which a caller has proved who it is, kept where some cluster is to be given another for it (RFC 8693).

use std::sync::Arc;

use aws_lc_rs::digest::{digest, SHA256};

/// Neither shown nor written anywhere: it has no `Debug` and no `Display`.
pub struct Subject {
    token: Box<str>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccessToken,
    IdToken,
}

impl Kind {
    /// RFC 8693 §3.
    pub fn uri(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
        }
    }
}

impl Subject {
    /// None for what is not text, which no token is.
    pub fn of(token: &[u8], kind: Kind) -> Option<Arc<Self>> {
        Some(Arc::new(Self { token: std::str::from_utf8(token).ok()?.into(), kind }))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// To be handed to the token endpoint, and to nothing else.
    pub fn reveal(&self) -> &str {
        &self.token
    }

    /// By which it is known where it must not be kept.
    pub fn name(&self) -> [u8; 32] {
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, self.token.as_bytes()).as_ref());
        name
    }
}
