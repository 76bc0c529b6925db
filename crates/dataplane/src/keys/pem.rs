//! Keys in PEM (RFC 7468): SubjectPublicKeyInfo, PKCS #8, and the older PKCS #1 and SEC 1.

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use x509_parser::asn1_rs::{FromDer, Integer, OctetString, Oid, Sequence};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_PKCS1_RSASSAPSS, OID_SIG_ED25519,
};
use x509_parser::pem::Pem;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::algorithm::Curve;
use super::public::PublicKey;
use super::sign::{self, SigningKey};
use super::WrongKey;

/// Most bytes of a file.
pub const MOST_BYTES: usize = 64 * 1024;

impl PublicKey {
    /// One `PUBLIC KEY` or `RSA PUBLIC KEY`. A private key is an error.
    pub fn from_pem(pem: &str) -> Result<Self, WrongKey> {
        let pem = section(pem)?;
        match pem.label.as_str() {
            "PUBLIC KEY" => Self::from_spki(&pem.contents),
            "RSA PUBLIC KEY" => Self::rsa_der(&pem.contents),
            label if label.ends_with("PRIVATE KEY") => Err(WrongKey::new("is private where a public key is expected")),
            _ => Err(WrongKey::new("is a PEM that holds something other than a public key")),
        }
    }

    /// SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7), as certificates have it.
    pub fn from_spki(der: &[u8]) -> Result<Self, WrongKey> {
        let damaged = || WrongKey::new("is no public key in DER");
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| damaged())?;
        if !rest.is_empty() {
            return Err(damaged());
        }
        let bits: &[u8] = &info.subject_public_key.data;
        match kind(&info.algorithm)? {
            Kind::Rsa { pss } => match Self::rsa_der(bits)? {
                Self::Rsa { modulus, exponent, .. } => Ok(Self::Rsa { modulus, exponent, pss }),
                other => Ok(other),
            },
            Kind::Ec(curve) => Self::ec_point(curve, bits),
            Kind::Ed25519 => Self::ed25519(bits),
        }
    }
}

impl SigningKey {
    /// One `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`, not encrypted.
    pub fn from_pem(pem: &str) -> Result<Self, WrongKey> {
        let damaged = || WrongKey::new("is private and damaged, or of a kind that is not supported");
        let pem = section(pem)?;
        let der = &pem.contents;
        match pem.label.as_str() {
            "PRIVATE KEY" => pkcs8(der),
            "RSA PRIVATE KEY" => sign::rsa(RsaKeyPair::from_der(der).map_err(|_| damaged())?),
            "EC PRIVATE KEY" => {
                for curve in [Curve::P256, Curve::P384, Curve::P521] {
                    if let Ok(pair) = EcdsaKeyPair::from_private_key_der(sign::signing(curve), der) {
                        return sign::ec(curve, pair);
                    }
                }
                Err(damaged())
            }
            "ENCRYPTED PRIVATE KEY" => Err(WrongKey::new("is encrypted")),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(WrongKey::new("is public where a private key is expected")),
            _ => Err(WrongKey::new("is a PEM that holds something other than a private key")),
        }
    }
}

enum Kind {
    Rsa { pss: bool },
    Ec(Curve),
    Ed25519,
}

fn kind(algorithm: &AlgorithmIdentifier<'_>) -> Result<Kind, WrongKey> {
    let oid = &algorithm.algorithm;
    if *oid == OID_PKCS1_RSAENCRYPTION || *oid == OID_PKCS1_RSASSAPSS {
        return Ok(Kind::Rsa { pss: *oid == OID_PKCS1_RSASSAPSS });
    }
    if *oid == OID_SIG_ED25519 {
        return Ok(Kind::Ed25519);
    }
    if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.as_ref().and_then(|any| Oid::try_from(any.clone()).ok());
        let curves = [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)];
        if let Some((_, curve)) = curves.into_iter().find(|(oid, _)| Some(oid) == curve.as_ref()) {
            return Ok(Kind::Ec(curve));
        }
    }
    Err(WrongKey::new("is of a type or curve that is not supported"))
}

/// PrivateKeyInfo (RFC 5958 §2). Its algorithm is read here, since AWS-LC takes RSASSA-PSS for another type of key.
fn pkcs8(der: &[u8]) -> Result<SigningKey, WrongKey> {
    let damaged = || WrongKey::new("is private and damaged");
    let (_, outer) = Sequence::from_der(der).map_err(|_| damaged())?;
    let (rest, _version) = Integer::from_der(&outer.content).map_err(|_| damaged())?;
    let (rest, algorithm) = AlgorithmIdentifier::from_der(rest).map_err(|_| damaged())?;
    match kind(&algorithm)? {
        Kind::Rsa { pss } => {
            let (_, inner) = OctetString::from_der(rest).map_err(|_| damaged())?;
            let key = sign::rsa(RsaKeyPair::from_der(inner.as_ref()).map_err(|_| damaged())?)?;
            Ok(if pss { key.for_pss() } else { key })
        }
        Kind::Ec(curve) => sign::ec(curve, EcdsaKeyPair::from_pkcs8(sign::signing(curve), der).map_err(|_| damaged())?),
        Kind::Ed25519 => sign::ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(|_| damaged())?),
    }
}

fn section(text: &str) -> Result<Pem, WrongKey> {
    if text.len() > MOST_BYTES {
        return Err(WrongKey::new(format!("is a PEM of more than {MOST_BYTES} bytes")));
    }
    let wanted = |pem: &Pem| pem.label != "EC PARAMETERS";
    let mut sections = Pem::iter_from_buffer(text.as_bytes()).filter_map(Result::ok).filter(wanted);
    match (sections.next(), sections.next()) {
        (Some(section), None) => Ok(section),
        (None, _) => Err(WrongKey::new("is not in PEM")),
        (Some(_), Some(_)) => Err(WrongKey::new("is a PEM that holds more than one key")),
    }
}
