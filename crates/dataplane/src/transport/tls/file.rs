//! Files of certificates and keys, read while a Program is compiled. What was good before stays in use when its file has
//! become bad.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::RootCertStore;

use super::certificate::Certificate;
use super::{Client, Server};
use crate::snapshot::CertificateFiles;

/// More than any bundle of authorities.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why a file cannot be used. Says nothing of what is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// `chain`, `key` or `ca`: which of the settings names the file.
    pub setting: &'static str,
    pub path: String,
    pub reason: String,
}

/// SHA-256 of what the files hold: whoever has the same one would compile to the same.
pub type Fingerprint = [u8; 32];

pub struct Authorities {
    pub fingerprint: Fingerprint,
    pub roots: Arc<RootCertStore>,
}

/// All that a Program has loaded, by the paths it came from.
#[derive(Clone, Default)]
pub struct Loaded {
    certificates: BTreeMap<CertificateFiles, Arc<Certificate>>,
    authorities: BTreeMap<String, Arc<Authorities>>,
    /// By listener: what is unchanged keeps its sessions.
    pub(super) servers: BTreeMap<String, Arc<Server>>,
    /// By identity, for the same reason.
    pub(super) clients: BTreeMap<u64, Arc<Client>>,
}

/// Something loaded now, or what the same path held before, with the reason.
pub enum Outcome<T> {
    Fresh(Arc<T>),
    Kept(Arc<T>, Wrong),
    Missing(Wrong),
}

impl<T> Outcome<T> {
    fn new(loaded: Result<Arc<T>, Wrong>, before: Option<&Arc<T>>) -> Self {
        match (loaded, before) {
            (Ok(loaded), _) => Outcome::Fresh(loaded),
            (Err(wrong), Some(before)) => Outcome::Kept(before.clone(), wrong),
            (Err(wrong), None) => Outcome::Missing(wrong),
        }
    }

    fn found(&self) -> Option<&Arc<T>> {
        match self {
            Outcome::Fresh(found) | Outcome::Kept(found, _) => Some(found),
            Outcome::Missing(_) => None,
        }
    }
}

/// Loads for one Program, with what the one before had loaded.
#[derive(Default)]
pub struct Loader {
    pub(super) before: Arc<Loaded>,
    pub now: Loaded,
}

impl Loader {
    pub fn new(before: Arc<Loaded>) -> Self {
        Self { before, now: Loaded::default() }
    }

    pub fn certificate(&mut self, files: &CertificateFiles) -> Outcome<Certificate> {
        let before = self.before.certificates.get(files);
        let outcome = Outcome::new(load_certificate(files, before), before);
        if let Some(found) = outcome.found() {
            self.now.certificates.insert(files.clone(), found.clone());
        }
        outcome
    }

    pub fn authorities(&mut self, path: &str) -> Outcome<Authorities> {
        let before = self.before.authorities.get(path);
        let outcome = Outcome::new(load_authorities(path), before);
        if let Some(found) = outcome.found() {
            self.now.authorities.insert(path.to_owned(), found.clone());
        }
        outcome
    }
}

fn load_certificate(files: &CertificateFiles, before: Option<&Arc<Certificate>>) -> Result<Arc<Certificate>, Wrong> {
    let (chain, key) = (read("chain", &files.chain)?, read("key", &files.key)?);
    let fingerprint = fingerprint(&[&chain, &key]);
    if let Some(before) = before.filter(|before| before.fingerprint == fingerprint) {
        return Ok(before.clone());
    }
    let wrong = |setting, path: &str, reason: String| Wrong { setting, path: path.to_owned(), reason };
    let chain = certificates(&chain).map_err(|reason| wrong("chain", &files.chain, reason))?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| wrong("key", &files.key, explain(&error, "an unencrypted private key")))?;
    Certificate::new(chain, key, fingerprint)
        .map(Arc::new)
        .map_err(|(setting, reason)| wrong(setting, if setting == "key" { &files.key } else { &files.chain }, reason))
}

fn load_authorities(path: &str) -> Result<Arc<Authorities>, Wrong> {
    let wrong = |reason: String| Wrong { setting: "ca", path: path.to_owned(), reason };
    let bytes = read("ca", path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&bytes).map_err(wrong)? {
        roots.add(certificate).map_err(|_| wrong("holds a certificate that cannot be used as an authority".into()))?;
    }
    Ok(Arc::new(Authorities { fingerprint: fingerprint(&[&bytes]), roots: Arc::new(roots) }))
}

fn read(setting: &'static str, path: &str) -> Result<Vec<u8>, Wrong> {
    let wrong = |reason: String| Wrong { setting, path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    let read = File::open(Path::new(path)).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LARGEST => Err(wrong(format!("is larger than {LARGEST} bytes"))),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(wrong("does not exist".into())),
        Err(error) => Err(wrong(format!("cannot be read: {error}"))),
    }
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| explain(&error, "a certificate"))?;
    if found.is_empty() {
        return Err("holds no certificate in PEM".into());
    }
    Ok(found)
}

/// In words of our own: the library's may hold a line of the file.
fn explain(error: &pem::Error, what: &str) -> String {
    match error {
        pem::Error::NoItemsFound => {
            format!("holds no {} in PEM", what.trim_start_matches("a ").trim_start_matches("an "))
        }
        pem::Error::MissingSectionEnd { .. } => "is not PEM: a section has no end".into(),
        pem::Error::Base64Decode(_) => "is not PEM: a section is not base64".into(),
        _ => "is not PEM".into(),
    }
}

fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
