//! The issuers of the configuration with their keys, read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::keys::{Algorithm, KeySet, PublicKey, VerifyingKey};
use crate::program::Report;
use crate::snapshot;

pub struct Issuer {
    pub name: Arc<str>,
    /// `iss`, exactly.
    pub issuer: Box<str>,
    pub algorithms: Vec<Algorithm>,
    pub keys: KeySet,
    /// That its endpoints are called through.
    pub cluster: Option<String>,
    pub endpoints: Option<snapshot::Endpoints>,
}

pub fn compile(settings: &BTreeMap<String, snapshot::Issuer>, report: &mut Report) -> FxHashMap<String, Arc<Issuer>> {
    let mut issuers = FxHashMap::default();
    for (name, settings) in settings {
        match Issuer::new(name, settings) {
            Ok(issuer) => {
                for skipped in &issuer.keys.skipped {
                    report.warning(format!("issuer '{name}': jwks: {skipped}, and is passed over"));
                }
                issuers.insert(name.clone(), Arc::new(issuer));
            }
            Err(wrong) => wrong.into_iter().for_each(|wrong| report.error(format!("issuer '{name}': {wrong}"))),
        }
    }
    issuers
}

impl Issuer {
    /// Every mistake, none of which shows a key. An algorithm that no key suits is one: it is a key of another type that
    /// was meant.
    fn new(name: &str, settings: &snapshot::Issuer) -> Result<Self, Vec<String>> {
        let (mut errors, mut algorithms, mut keys, mut skipped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for text in &settings.algorithms {
            match Algorithm::parse(text) {
                Some(algorithm) => algorithms.push(algorithm),
                None => errors.push(format!("algorithms: '{text}' is none that is supported")),
            }
        }
        if let Some(text) = &settings.jwks {
            match KeySet::parse(text.as_bytes()) {
                Ok(set) => {
                    skipped.clone_from(&set.skipped);
                    keys.extend(set.keys().iter().cloned());
                }
                Err(wrong) => errors.push(format!("jwks: {wrong}")),
            }
        }
        for (index, pem) in settings.public_keys.iter().enumerate() {
            match PublicKey::from_pem(pem).and_then(|public| VerifyingKey::from_public(public, None)) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(wrong) => errors.push(format!("public_keys[{index}]: it {wrong}")),
            }
        }
        if let Some(secret) = &settings.secret {
            match VerifyingKey::from_secret(secret.reveal().as_bytes(), None) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(wrong) => errors.push(format!("secret: it {wrong}")),
            }
        }
        if keys.is_empty() && errors.is_empty() {
            errors.push("it has no key to verify its tokens with".to_owned());
        }
        for algorithm in algorithms.iter().filter(|_| errors.is_empty()).collect::<Vec<_>>() {
            if !keys.iter().any(|key| key.suits(*algorithm)) {
                errors.push(format!("algorithms: none of its keys is for {algorithm}"));
            }
        }
        match errors.is_empty() {
            true => Ok(Self {
                name: name.into(),
                issuer: settings.issuer.as_str().into(),
                algorithms,
                keys: KeySet::of(keys, skipped),
                cluster: settings.cluster.clone(),
                endpoints: settings.endpoints.clone(),
            }),
            false => Err(errors),
        }
    }
}
