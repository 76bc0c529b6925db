//! Who issues tokens: the issuers of the configuration, with the keys that they have there or publish.

pub mod endpoint;
pub mod live;
pub mod token_endpoint;

use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use self::endpoint::{Endpoint, Endpoints};
use self::live::{Fetched, Live};
use crate::callout::CalloutPort;
use crate::keys::{Algorithm, KeySet, NotFound, PublicKey, VerifyingKey};
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot;

pub struct Issuer {
    pub name: Arc<str>,
    /// `iss`, exactly.
    pub issuer: Box<str>,
    pub algorithms: Vec<Algorithm>,
    /// Of the configuration.
    keys: KeySet,
    endpoints: Endpoints,
    /// What is fetched.
    live: Option<Arc<Live>>,
}

/// By their names.
pub type Issuers = FxHashMap<String, Arc<Issuer>>;

/// What a signature was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    Valid,
    Invalid,
    /// No key that is known can be the one; newer ones may be.
    UnknownKey,
}

pub fn compile(snapshot: &snapshot::Snapshot, shared: &Shared, report: &mut Report) -> Issuers {
    let mut issuers = FxHashMap::default();
    for (name, settings) in &snapshot.issuers {
        for cluster in settings.endpoints.values().filter_map(|endpoint| endpoint.cluster.as_ref()) {
            if !snapshot.clusters.contains_key(cluster) {
                report.error(format!("issuer '{name}': endpoints: there is no cluster '{cluster}'"));
            }
        }
        match Issuer::new(name, settings, shared) {
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
    fn new(name: &str, settings: &snapshot::Issuer, shared: &Shared) -> Result<Self, Vec<String>> {
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
        let endpoints = Endpoints::new(&settings.endpoints).map_err(|wrong| errors.push(wrong)).unwrap_or_default();
        let fetched = settings.source.is_some();
        if keys.is_empty() && errors.is_empty() && !fetched && settings.endpoints.is_empty() {
            errors.push("it has no key to verify its tokens with".to_owned());
        }
        for algorithm in
            algorithms.iter().filter(|_| errors.is_empty() && !fetched && !keys.is_empty()).collect::<Vec<_>>()
        {
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
                endpoints,
                live: settings.source.as_ref().map(|source| shared.issuers.of(&format!("{name} {source}"))),
            }),
            false => Err(errors),
        }
    }

    /// Whether one of its keys has signed it. `key` is the name that the signature gives its key.
    pub fn verify(&self, key: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Signature {
        let fixed = verify(&self.keys, key, algorithm, message, signature);
        if fixed == Signature::Valid {
            return fixed;
        }
        match self.live.as_ref().map(|live| live.known()) {
            None => fixed,
            Some(None) => Signature::UnknownKey,
            Some(Some(known)) => verify(&known.keys, key, algorithm, message, signature),
        }
    }

    /// Counts the sets of keys that it has published; what was verified by another set is to be verified anew.
    pub fn generation(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.generation())
    }

    /// Has what it publishes fetched anew, within bounds, and waits for it.
    pub async fn fetch(&self, port: &CalloutPort, deadline: Instant) -> Fetched {
        match &self.live {
            Some(live) => live.fetch(&self.name, port, deadline).await,
            None => Fetched::Lately,
        }
    }

    /// By its name in the metadata, without `_endpoint`. What the configuration says counts before what was fetched.
    pub fn endpoint(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.endpoints.get(name).or_else(|| self.live.as_ref()?.known()?.endpoints.get(name))
    }

    pub fn live(&self) -> Option<&Arc<Live>> {
        self.live.as_ref()
    }
}

fn verify(keys: &KeySet, key: Option<&str>, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Signature {
    match keys.verify(key, algorithm, message, signature) {
        Ok(Ok(_)) => Signature::Valid,
        // Without a name any key may be meant, also one that is not known yet.
        Ok(Err(_)) if key.is_none() => Signature::UnknownKey,
        Err(NotFound::Unknown) => Signature::UnknownKey,
        Ok(Err(_)) | Err(NotFound::NotForAlgorithm | NotFound::Ambiguous) => Signature::Invalid,
    }
}
