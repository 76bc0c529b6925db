//! Keys of JOSE and of all that borrows its algorithms: JWK and PEM in, signatures made and verified, over AWS-LC.
//!
//! A key is read once and bound to what it may do: its type and curve, its size, and the `alg` it names (RFC 8725 §3.1).
//! No error tells a key, nor a part of one.

pub mod algorithm;
pub mod base64url;
pub mod json;
pub mod jwk;
pub mod jwks;
pub mod pem;
pub mod public;
pub mod sign;
pub mod verify;

pub use algorithm::{Algorithm, Curve};
pub use jwks::{KeySet, NotFound};
pub use public::PublicKey;
pub use sign::SigningKey;
pub use verify::{Unverified, VerifyingKey};

/// Why a key cannot be used, as a sentence's end: "the key …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey(pub String);

impl WrongKey {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl std::fmt::Display for WrongKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongKey {}
