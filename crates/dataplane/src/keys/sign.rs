//! A key that signs.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
};

use super::algorithm::{Algorithm, Curve};
use super::public::PublicKey;
use super::verify::{hash, VerifyingKey};
use super::WrongKey;

pub struct SigningKey {
    /// The `kid` of its JWK.
    pub id: Option<Box<str>>,
    pair: Pair,
    public: Option<PublicKey>,
    algorithms: Vec<Algorithm>,
}

pub(super) enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Secret(Box<[u8]>),
}

impl SigningKey {
    pub(super) fn from_pair(pair: Pair, public: PublicKey) -> Self {
        let algorithms = public.algorithms().to_vec();
        Self { id: None, pair, public: Some(public), algorithms }
    }

    pub fn from_secret(secret: &[u8]) -> Result<Self, WrongKey> {
        VerifyingKey::from_secret(secret, None)?;
        let long_enough = |algorithm: &Algorithm| algorithm.least_secret() <= secret.len();
        let algorithms = Algorithm::SECRET.into_iter().filter(long_enough).collect();
        Ok(Self { id: None, pair: Pair::Secret(secret.into()), public: None, algorithms })
    }

    /// Keeps it to one algorithm.
    pub fn only(mut self, algorithm: Algorithm) -> Result<Self, WrongKey> {
        if !self.suits(algorithm) {
            return Err(WrongKey::new(format!("is not of the type, curve or length that {algorithm} needs")));
        }
        self.algorithms = vec![algorithm];
        Ok(self)
    }

    pub(super) fn for_pss(mut self) -> Self {
        if let Some(PublicKey::Rsa { pss, .. }) = &mut self.public {
            *pss = true;
        }
        self.algorithms = self.public.as_ref().map(|public| public.algorithms().to_vec()).unwrap_or_default();
        self
    }

    pub fn with_id(mut self, id: Option<&str>) -> Self {
        self.id = id.map(Into::into);
        self
    }

    pub fn suits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// In the order of preference.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// `None` for a secret.
    pub fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// As [`VerifyingKey::verify`] reads it.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, WrongKey> {
        let failed = |_| WrongKey::new(format!("did not sign with {algorithm}"));
        if !self.suits(algorithm) {
            return Err(WrongKey::new(format!("is not for {algorithm}")));
        }
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&SystemRandom::new(), message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            Pair::Secret(secret) => Ok(hmac::sign(&hmac::Key::new(hash(algorithm), secret), message).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKey").field("id", &self.id).field("public", &self.public).finish_non_exhaustive()
    }
}

pub(super) fn signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

pub(super) fn rsa(pair: RsaKeyPair) -> Result<SigningKey, WrongKey> {
    let public = pair.public_key();
    let public = PublicKey::rsa(
        public.modulus().big_endian_without_leading_zero(),
        public.exponent().big_endian_without_leading_zero(),
    )?;
    Ok(SigningKey::from_pair(Pair::Rsa(Box::new(pair)), public))
}

pub(super) fn ec(curve: Curve, pair: EcdsaKeyPair) -> Result<SigningKey, WrongKey> {
    let public = PublicKey::ec_point(curve, pair.public_key().as_ref())?;
    Ok(SigningKey::from_pair(Pair::Ec(Box::new(pair)), public))
}

pub(super) fn ed25519(pair: Ed25519KeyPair) -> Result<SigningKey, WrongKey> {
    let public = PublicKey::ed25519(pair.public_key().as_ref())?;
    Ok(SigningKey::from_pair(Pair::Ed25519(Box::new(pair)), public))
}
