//! The algorithms by their names in the registry of RFC 9421 §3.3.

use crate::keys::Algorithm;

/// Each with what JOSE calls the same.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("rsa-pss-sha512", Algorithm::Ps512),
    ("rsa-v1_5-sha256", Algorithm::Rs256),
    ("hmac-sha256", Algorithm::Hs256),
    ("ecdsa-p256-sha256", Algorithm::Es256),
    ("ecdsa-p384-sha384", Algorithm::Es384),
    ("ed25519", Algorithm::EdDsa),
];

pub fn parse(name: &str) -> Option<(&'static str, Algorithm)> {
    ALGORITHMS.into_iter().find(|(known, _)| *known == name)
}
