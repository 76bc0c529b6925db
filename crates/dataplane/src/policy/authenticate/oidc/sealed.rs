//! What browsers keep for us and cannot read, change, or put to another use: AES-256-GCM with a key from each secret of
//! the configuration (HKDF, RFC 5869).

use aws_lc_rs::aead::{Aad, Nonce, RandomizedNonceKey, AES_256_GCM, NONCE_LEN};
use aws_lc_rs::hkdf;
use serde_json::json;

use crate::keys::base64url;
use crate::snapshot::Secret;

/// Bytes of a secret at least.
pub const LEAST_SECRET: usize = 32;
const SALT: &[u8] = b"stagedoor session 1";

pub struct Seal {
    /// The first seals, all open.
    keys: Vec<RandomizedNonceKey>,
    /// Whose it is: what is sealed for another provider or cookie does not open.
    owner: Vec<String>,
}

impl Seal {
    /// Every mistake; none shows a secret.
    pub fn new(secrets: &[Secret], owner: &[&str]) -> Result<Self, Vec<String>> {
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for (index, secret) in secrets.iter().enumerate() {
            if secret.reveal().len() < LEAST_SECRET {
                errors.push(format!("session: secrets[{index}] has fewer than {LEAST_SECRET} bytes"));
                continue;
            }
            match key(secret) {
                Some(key) => keys.push(key),
                None => errors.push(format!("session: secrets[{index}] cannot be used")),
            }
        }
        if secrets.is_empty() {
            errors.push("session: it has no secret".to_owned());
        }
        match errors.is_empty() {
            true => Ok(Self { keys, owner: owner.iter().map(|part| (*part).to_owned()).collect() }),
            false => Err(errors),
        }
    }

    /// As base64url. `purpose` is asked for again when it is opened. None where there is no randomness.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Option<String> {
        let mut sealed = plain.to_vec();
        let key = self.keys.first()?;
        let nonce = key.seal_in_place_append_tag(Aad::from(self.bound_to(purpose)), &mut sealed).ok()?;
        Some(base64url::encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    pub fn open(&self, purpose: &str, text: &[u8]) -> Option<Vec<u8>> {
        let sealed = base64url::decode(text)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let bound = self.bound_to(purpose);
        self.keys.iter().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut opened = sealed.to_vec();
            let plain = key.open_in_place(nonce, Aad::from(bound.as_slice()), &mut opened).ok()?;
            Some(plain.to_vec())
        })
    }

    fn bound_to(&self, purpose: &str) -> Vec<u8> {
        json!([purpose, self.owner]).to_string().into_bytes()
    }
}

fn key(secret: &Secret) -> Option<RandomizedNonceKey> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(secret.reveal().as_bytes());
    let mut key = [0; 32];
    extracted.expand(&[b"cookie"], hkdf::HKDF_SHA256).and_then(|key_material| key_material.fill(&mut key)).ok()?;
    RandomizedNonceKey::new(&AES_256_GCM, &key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        serde_json::from_value(json!(text)).expect("a secret")
    }

    fn seal(secrets: &[&str], owner: &str) -> Seal {
        let secrets: Vec<Secret> = secrets.iter().map(|text| secret(text)).collect();
        Seal::new(&secrets, &[owner]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    const OLD: &str = "an old secret of thirty-two bytes";
    const NEW: &str = "a new secret of thirty-two bytes.";

    #[test]
    fn what_one_secret_sealed_opens_as_long_as_the_secret_is_listed() {
        let text = seal(&[OLD], "a").seal("session", b"plain").expect("sealed");
        assert_eq!(seal(&[NEW, OLD], "a").open("session", text.as_bytes()).as_deref(), Some(&b"plain"[..]));
        assert_eq!(seal(&[NEW], "a").open("session", text.as_bytes()), None);
        let text = seal(&[NEW, OLD], "a").seal("session", b"plain").expect("sealed");
        assert_eq!(seal(&[OLD], "a").open("session", text.as_bytes()), None, "the first secret seals");
    }

    #[test]
    fn it_opens_for_its_purpose_and_its_owner_alone_and_only_unchanged() {
        let ours = seal(&[OLD], "a");
        let text = ours.seal("session", b"plain").expect("sealed");
        assert_ne!(ours.seal("session", b"plain").expect("sealed"), text, "no two are alike");
        assert_eq!(ours.open("attempt", text.as_bytes()), None);
        assert_eq!(seal(&[OLD], "b").open("session", text.as_bytes()), None);
        for index in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open("session", &damaged), None, "{index}");
            assert_eq!(ours.open("session", &text.as_bytes()[..index]), None, "{index}");
        }
    }

    #[test]
    fn a_short_secret_is_an_error_that_does_not_show_it() {
        let errors = Seal::new(&[secret("too short")], &[]).err().expect("an error");
        assert!(errors[0].contains("fewer than 32") && !errors[0].contains("too short"), "{errors:?}");
        assert!(Seal::new(&[], &[]).is_err());
    }
}
