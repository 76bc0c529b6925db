//! Which certificate a client is shown: by the name it asks for (RFC 6066 §3).

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::Certificate;

#[derive(Debug)]
pub(super) struct Names {
    /// By whole name. Several where a name has keys of several kinds.
    exact: FxHashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// By what follows the `*.`, which stands for one label.
    wildcard: FxHashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    /// For clients that ask for no name, or for one that no certificate has.
    default: Arc<CertifiedKey>,
}

impl Names {
    /// The first is the default. None if there is none.
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Option<Self> {
        let default = certificates.first()?.key.clone();
        let mut names = Self { exact: FxHashMap::default(), wildcard: FxHashMap::default(), default };
        for certificate in certificates {
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut names.wildcard, rest),
                    None => (&mut names.exact, name.as_str()),
                };
                map.entry(name.into()).or_default().push(certificate.key.clone());
            }
        }
        Some(names)
    }

    /// An exact name goes before a wildcard.
    fn find(&self, name: &str) -> Option<&Vec<Arc<CertifiedKey>>> {
        let lower;
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lower = name.to_ascii_lowercase();
            &lower
        } else {
            name
        };
        self.exact.get(name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.find(name));
        let Some(found) = found else { return Some(self.default.clone()) };
        let usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        found.iter().find(usable).or(found.first()).cloned()
    }
}
