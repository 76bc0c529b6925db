//! The keys by which consumers sign, each bound to one algorithm.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use rustc_hash::FxHashMap;

use crate::keys::{Algorithm, PublicKey, VerifyingKey, WrongKey};
use crate::policy::authenticate::Consumer;
use crate::program::Report;
use crate::signature::{algorithm, Wrong};
use crate::snapshot;

pub struct Key {
    pub id: Box<str>,
    pub consumer: Arc<Consumer>,
    /// Its name in `alg`.
    pub algorithm: &'static str,
    key: VerifyingKey,
    verifies: Algorithm,
}

/// By `keyid`.
#[derive(Default)]
pub struct SignatureKeys(FxHashMap<Box<str>, Key>);

impl SignatureKeys {
    /// Those of the configuration.
    pub fn new(consumers: &BTreeMap<String, snapshot::Consumer>, report: &mut Report) -> Self {
        let mut keys = Self::default();
        for (name, settings) in consumers.iter().filter(|(_, settings)| !settings.signature_keys.is_empty()) {
            let facts = settings.facts(&settings.scopes, "signature");
            let consumer = Arc::new(Consumer::proved(name, &facts, None));
            for (index, each) in settings.signature_keys.iter().enumerate() {
                if let Err(wrong) = keys.add(consumer.clone(), each) {
                    report.error(format!("consumer '{name}': signature_keys[{index}]: {wrong}"));
                }
            }
        }
        keys
    }

    /// The mistake is a sentence without its place. One id of two keys is one, since it would be a matter of chance which
    /// one verifies.
    pub fn add(&mut self, consumer: Arc<Consumer>, settings: &snapshot::SignatureKey) -> Result<(), String> {
        let key = Key::new(settings, consumer).map_err(|wrong| format!("it {wrong}"))?;
        match self.0.insert(key.id.clone(), key) {
            None => Ok(()),
            Some(_) => Err("another key has the same id".to_owned()),
        }
    }

    pub fn find(&self, id: &str) -> Option<&Key> {
        self.0.get(id)
    }
}

impl Key {
    fn new(settings: &snapshot::SignatureKey, consumer: Arc<Consumer>) -> Result<Self, WrongKey> {
        let wrong = |text: &str| WrongKey(text.to_owned());
        let found = algorithm::parse(&settings.algorithm);
        let (algorithm, verifies) = found.ok_or_else(|| wrong("has an algorithm that is not supported"))?;
        let key = match (&settings.secret, &settings.public_key) {
            (Some(secret), None) => {
                let secret = STANDARD.decode(secret.reveal()).map_err(|_| wrong("has a secret that is not base64"))?;
                VerifyingKey::from_secret(&secret, Some(verifies))?
            }
            (None, Some(text)) => {
                let public = match serde_json::from_str(text) {
                    Ok(jwk) => PublicKey::from_jwk(&jwk)?,
                    Err(_) => PublicKey::from_pem(text)?,
                };
                VerifyingKey::from_public(public, Some(verifies))?
            }
            _ => return Err(wrong("has neither a secret nor a public key, or both")),
        };
        Ok(Self { id: settings.id.as_str().into(), consumer, algorithm, key, verifies })
    }

    pub fn verify(&self, base: &[u8], signature: &[u8]) -> Result<(), Wrong> {
        self.key.verify(self.verifies, base, signature).map_err(|_| "its key does not verify it")
    }
}
