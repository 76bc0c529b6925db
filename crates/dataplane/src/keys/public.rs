//! A public key by its numbers: what a JWK, a PEM and a certificate have in common.

use std::fmt;

use aws_lc_rs::digest::{digest, SHA256};
use aws_lc_rs::rsa;
use serde_json::{json, Value};

use super::algorithm::{Algorithm, Curve};
use super::{base64url, WrongKey};

/// Bits of an RSA modulus (RFC 7518 §3.3); above the most a verification costs too much.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// Big-endian, without leading zeros. `pss`: its certificate or PEM says RSASSA-PSS, so it is for PS* alone.
    Rsa {
        modulus: Box<[u8]>,
        exponent: Box<[u8]>,
        pss: bool,
    },
    /// Each coordinate in full length.
    Ec {
        curve: Curve,
        x: Box<[u8]>,
        y: Box<[u8]>,
    },
    Ed25519 {
        x: [u8; 32],
    },
}

impl PublicKey {
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, WrongKey> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(WrongKey::new(format!(
                "is of RSA with {bits} bits; {} to {} are used",
                RSA_BITS.start(),
                RSA_BITS.end()
            )));
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !odd(modulus) || !odd(exponent) || exponent == [1] || exponent.len() > 4 {
            return Err(WrongKey::new("is of RSA with a modulus or an exponent that is not safe"));
        }
        Ok(Self::Rsa { modulus: modulus.into(), exponent: exponent.into(), pss: false })
    }

    /// `RSAPublicKey` (RFC 8017 §A.1.1).
    pub fn rsa_der(der: &[u8]) -> Result<Self, WrongKey> {
        let key = rsa::PublicKey::from_der(der)
            .map_err(|_| WrongKey::new("is of RSA and damaged, or shorter than 2048 bits"))?;
        Self::rsa(key.modulus().big_endian_without_leading_zero(), key.exponent().big_endian_without_leading_zero())
    }

    /// The coordinates must be of the curve's length (RFC 7518 §6.2.1.2). That the point lies on the curve is seen when
    /// a [`super::VerifyingKey`] is made.
    pub fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, WrongKey> {
        match x.len() == curve.coordinate() && y.len() == curve.coordinate() {
            true => Ok(Self::Ec { curve, x: x.into(), y: y.into() }),
            false => Err(WrongKey::new(format!("is of {} with a coordinate of another length", curve.name()))),
        }
    }

    /// An uncompressed point (SEC 1 §2.3.3).
    pub fn ec_point(curve: Curve, point: &[u8]) -> Result<Self, WrongKey> {
        match point.split_first() {
            Some((4, rest)) if rest.len() == 2 * curve.coordinate() => {
                let (x, y) = rest.split_at(curve.coordinate());
                Self::ec(curve, x, y)
            }
            _ => Err(WrongKey::new(format!("is of {} and its point is not in uncompressed form", curve.name()))),
        }
    }

    pub fn ed25519(x: &[u8]) -> Result<Self, WrongKey> {
        let x = x.try_into().map_err(|_| WrongKey::new("is of Ed25519 and has not 32 bytes"))?;
        Ok(Self::Ed25519 { x })
    }

    /// Every algorithm that it may be used with.
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { pss: false, .. } => &Algorithm::RSA,
            Self::Rsa { pss: true, .. } => &[Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512],
            Self::Ec { curve: Curve::P256, .. } => &[Algorithm::Es256],
            Self::Ec { curve: Curve::P384, .. } => &[Algorithm::Es384],
            Self::Ec { curve: Curve::P521, .. } => &[Algorithm::Es512],
            Self::Ed25519 { .. } => &[Algorithm::EdDsa],
        }
    }

    pub(super) fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
        [&[4], x, y].concat()
    }

    /// With the members that RFC 7638 §3.2 requires, in its order.
    pub fn to_jwk(&self) -> Value {
        match self {
            Self::Rsa { modulus, exponent, .. } => {
                json!({"e": base64url::encode(exponent), "kty": "RSA", "n": base64url::encode(modulus)})
            }
            Self::Ec { curve, x, y } => {
                json!({"crv": curve.name(), "kty": "EC", "x": base64url::encode(x), "y": base64url::encode(y)})
            }
            Self::Ed25519 { x } => json!({"crv": "Ed25519", "kty": "OKP", "x": base64url::encode(x)}),
        }
    }

    /// RFC 7638 with SHA-256, in base64url: 43 characters.
    pub fn thumbprint(&self) -> String {
        // The numbers are as RFC 7518 wants them, and `to_jwk` keeps the lexicographic order, so this text is the one.
        base64url::encode(digest(&SHA256, self.to_jwk().to_string().as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.thumbprint())
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
