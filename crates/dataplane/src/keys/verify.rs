//! A key that verifies, parsed once.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

use super::algorithm::{Algorithm, Curve};
use super::public::PublicKey;
use super::WrongKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// The key is not for this algorithm: of another type or curve, too short, or meant for another one.
    NotForAlgorithm,
    WrongSignature,
}

pub struct VerifyingKey {
    /// The `kid` of its JWK.
    pub id: Option<Box<str>>,
    ready: Vec<(Algorithm, Ready)>,
    public: Option<PublicKey>,
}

enum Ready {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl VerifyingKey {
    /// `only`: the `alg` of its JWK or of the configuration; without it, every algorithm that suits the key.
    pub fn from_public(public: PublicKey, only: Option<Algorithm>) -> Result<Self, WrongKey> {
        let suits = public.algorithms();
        if let Some(only) = only.filter(|only| !suits.contains(only)) {
            return Err(WrongKey::new(format!("is not of the type or curve that {only} needs")));
        }
        let mut ready = Vec::with_capacity(suits.len());
        for algorithm in suits.iter().copied().filter(|algorithm| only.is_none_or(|only| only == *algorithm)) {
            ready.push((algorithm, Ready::Public(parse(&public, algorithm)?)));
        }
        Ok(Self { id: None, ready, public: Some(public) })
    }

    /// For HS*: those whose hash is no longer than the secret (RFC 7518 §3.2).
    pub fn from_secret(secret: &[u8], only: Option<Algorithm>) -> Result<Self, WrongKey> {
        if let Some(only) = only.filter(|only| !Algorithm::SECRET.contains(only)) {
            return Err(WrongKey::new(format!("is a secret, and {only} has none")));
        }
        let least = only.unwrap_or(Algorithm::Hs256);
        if secret.len() < least.least_secret() {
            return Err(WrongKey::new(format!(
                "is a secret of {} bytes; {least} needs {} or more (RFC 7518 section 3.2)",
                secret.len(),
                least.least_secret()
            )));
        }
        let ready = Algorithm::SECRET
            .into_iter()
            .filter(|algorithm| only.is_none_or(|only| only == *algorithm) && algorithm.least_secret() <= secret.len())
            .map(|algorithm| (algorithm, Ready::Secret(Box::new(hmac::Key::new(hash(algorithm), secret)))))
            .collect();
        Ok(Self { id: None, ready, public: None })
    }

    pub fn with_id(mut self, id: Option<&str>) -> Self {
        self.id = id.map(Into::into);
        self
    }

    pub fn suits(&self, algorithm: Algorithm) -> bool {
        self.ready.iter().any(|(known, _)| *known == algorithm)
    }

    /// `None` for a secret.
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// ECDSA signatures are `r` and `s` one after the other in full length (RFC 7518 §3.4), never DER.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Unverified> {
        let Some((_, ready)) = self.ready.iter().find(|(known, _)| *known == algorithm) else {
            return Err(Unverified::NotForAlgorithm);
        };
        match ready {
            Ready::Public(key) => key.verify_sig(message, signature),
            Ready::Secret(key) => hmac::verify(key, message, signature),
        }
        .map_err(|_| Unverified::WrongSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<&str> = self.ready.iter().map(|(algorithm, _)| algorithm.name()).collect();
        formatter.debug_struct("VerifyingKey").field("id", &self.id).field("algorithms", &algorithms).finish()
    }
}

pub(super) fn hash(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn parse(public: &PublicKey, algorithm: Algorithm) -> Result<ParsedPublicKey, WrongKey> {
    match public {
        PublicKey::Rsa { modulus, exponent, .. } => {
            let parameters: &'static RsaParameters = match algorithm {
                Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                _ => &signature::RSA_PKCS1_2048_8192_SHA256,
            };
            let components = RsaPublicKeyComponents { n: &**modulus, e: &**exponent };
            components.to_parsed_public_key(parameters).map_err(|_| WrongKey::new("is of RSA and damaged"))
        }
        PublicKey::Ec { curve, x, y } => {
            let parameters = match curve {
                Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
                Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
                Curve::P521 => &signature::ECDSA_P521_SHA512_FIXED,
            };
            ParsedPublicKey::new(parameters, PublicKey::point(x, y))
                .map_err(|_| WrongKey::new(format!("is no point on {}", curve.name())))
        }
        PublicKey::Ed25519 { x } => {
            ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| WrongKey::new("is of Ed25519 and damaged"))
        }
    }
}
