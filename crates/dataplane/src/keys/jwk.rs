//! One JSON Web Key (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Curve};
use super::public::PublicKey;
use super::sign::{self, SigningKey};
use super::verify::VerifyingKey;
use super::{base64url, WrongKey};

/// Most bytes of a `kid`, `alg` and other short members.
const MOST_TEXT: usize = 1024;

/// What came of reading an entry of which some are not for us (RFC 7517 §5).
pub(super) enum Entry {
    Key(VerifyingKey),
    /// Why it is passed over.
    NotForUs(String),
}

/// Members whose presence says that a key is private (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl PublicKey {
    /// A private or symmetric key is an error.
    pub fn from_jwk(jwk: &Value) -> Result<Self, WrongKey> {
        let jwk = object(jwk)?;
        if PRIVATE.iter().any(|member| jwk.contains_key(*member)) || text(jwk, "kty")? == Some("oct") {
            return Err(WrongKey::new("is private or a secret where a public key is expected"));
        }
        match public(jwk)? {
            Some(public) => Ok(public),
            None => Err(WrongKey::new("is of a type or curve that is not supported")),
        }
    }
}

impl VerifyingKey {
    /// A public key; a key for something other than verifying, or of an `alg` that is not supported, is an error too.
    pub fn from_jwk(jwk: &Value) -> Result<Self, WrongKey> {
        match entry(jwk)? {
            Entry::Key(key) => Ok(key),
            Entry::NotForUs(why) => Err(WrongKey(why)),
        }
    }
}

impl SigningKey {
    /// A private key, or a secret of `kty` `oct`.
    pub fn from_jwk(jwk: &Value) -> Result<Self, WrongKey> {
        let jwk = object(jwk)?;
        let key = match text(jwk, "kty")? {
            Some("oct") => SigningKey::from_secret(&number(jwk, "k")?)?,
            Some("RSA") => rsa(jwk)?,
            Some("EC") => {
                let Some(PublicKey::Ec { curve, x, y }) = public(jwk)? else {
                    return Err(WrongKey::new("is of a curve that is not supported"));
                };
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    sign::signing(curve),
                    &number(jwk, "d")?,
                    &PublicKey::point(&x, &y),
                )
                .map_err(|_| WrongKey::new("is of EC and damaged"))?;
                sign::ec(curve, pair)?
            }
            Some("OKP") => {
                let Some(PublicKey::Ed25519 { x }) = public(jwk)? else {
                    return Err(WrongKey::new("is of a curve that is not supported"));
                };
                let pair = Ed25519KeyPair::from_seed_and_public_key(&number(jwk, "d")?, &x)
                    .map_err(|_| WrongKey::new("is of Ed25519 and damaged"))?;
                sign::ed25519(pair)?
            }
            _ => return Err(WrongKey::new("is of a type that is not supported")),
        };
        let key = match text(jwk, "alg")? {
            Some(name) => key.only(algorithm(name)?)?,
            None => key,
        };
        Ok(key.with_id(text(jwk, "kid")?))
    }
}

/// An error is for what is wrong; what is merely not for us is said with why.
pub(super) fn entry(jwk: &Value) -> Result<Entry, WrongKey> {
    let members = object(jwk)?;
    if PRIVATE.iter().any(|member| members.contains_key(*member)) || text(members, "kty")? == Some("oct") {
        return Err(WrongKey::new("is private or a secret where a public key is expected"));
    }
    match text(members, "use")? {
        None | Some("sig") => {}
        Some(_) => return Ok(Entry::NotForUs("has a `use` other than sig".to_owned())),
    }
    match members.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => {}
        Some(Value::Array(_)) => return Ok(Entry::NotForUs("has `key_ops` without verify".to_owned())),
        Some(_) => return Err(WrongKey::new("has `key_ops` that is no list")),
    }
    let only = match text(members, "alg")?.map(Algorithm::parse) {
        None => None,
        Some(Some(only)) => Some(only),
        Some(None) => return Ok(Entry::NotForUs("has an `alg` that is not supported".to_owned())),
    };
    let Some(public) = public(members)? else {
        return Ok(Entry::NotForUs("is of a type or curve that is not supported".to_owned()));
    };
    Ok(Entry::Key(VerifyingKey::from_public(public, only)?.with_id(text(members, "kid")?)))
}

/// `None` for a type or curve that we do not have.
fn public(jwk: &Map<String, Value>) -> Result<Option<PublicKey>, WrongKey> {
    match text(jwk, "kty")? {
        None => Err(WrongKey::new("has no `kty`")),
        Some("RSA") => PublicKey::rsa(&number(jwk, "n")?, &number(jwk, "e")?).map(Some),
        Some("EC") => match text(jwk, "crv")?.and_then(Curve::parse) {
            Some(curve) => PublicKey::ec(curve, &number(jwk, "x")?, &number(jwk, "y")?).map(Some),
            None => Ok(None),
        },
        Some("OKP") if text(jwk, "crv")? == Some("Ed25519") => PublicKey::ed25519(&number(jwk, "x")?).map(Some),
        Some(_) => Ok(None),
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<SigningKey, WrongKey> {
    if jwk.contains_key("oth") {
        return Err(WrongKey::new("is of RSA with more than two primes"));
    }
    let number = |member: &str| number(jwk, member).map(without_zeros);
    let pair = RsaKeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents { n: number("n")?, e: number("e")? },
        d: number("d")?,
        p: number("p")?,
        q: number("q")?,
        dP: number("dp")?,
        dQ: number("dq")?,
        qInv: number("qi")?,
    })
    .map_err(|_| WrongKey::new("is of RSA and damaged, or shorter than 2048 bits"))?;
    sign::rsa(pair)
}

fn without_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

fn algorithm(name: &str) -> Result<Algorithm, WrongKey> {
    Algorithm::parse(name).ok_or_else(|| WrongKey::new("has an `alg` that is not supported"))
}

fn object(jwk: &Value) -> Result<&Map<String, Value>, WrongKey> {
    jwk.as_object().ok_or_else(|| WrongKey::new("is no JSON object"))
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Result<Option<&'a str>, WrongKey> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MOST_TEXT => Ok(Some(text)),
        Some(_) => Err(WrongKey::new(format!("has a `{member}` that is no text, or too long"))),
    }
}

fn number(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, WrongKey> {
    jwk.get(member)
        .and_then(Value::as_str)
        .and_then(base64url::decode)
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= MOST_TEXT + 1)
        .ok_or_else(|| WrongKey::new(format!("has no `{member}` in base64url")))
}
