//! One certificate with its chain and key, ready for handshakes, and the names that it is for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::file::Fingerprint;
use super::provider;

#[derive(Debug)]
pub struct Certificate {
    pub fingerprint: Fingerprint,
    pub key: Arc<CertifiedKey>,
    /// DNS names of the certificate, lower-case; wildcards as `*.example.com` (RFC 6125 §6.4.3).
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub valid_from: i64,
    pub valid_until: i64,
}

/// Whether a certificate can be used at this time.
#[derive(Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    NotYet,
    Expired,
}

impl Certificate {
    /// What is wrong, with the setting that names the file it is in.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        fingerprint: Fingerprint,
    ) -> Result<Self, (&'static str, String)> {
        let (names, valid_from, valid_until) = {
            let first = chain.first().ok_or(("chain", "holds no certificate in PEM".to_owned()))?;
            let (_, parsed) = X509Certificate::from_der(first)
                .map_err(|_| ("chain", "begins with something that is not a certificate".to_owned()))?;
            (dns_names(&parsed), parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp())
        };
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                ("key", "is not the key of the first certificate in the chain".to_owned())
            }
            Error::InvalidCertificate(_) => ("chain", "begins with a certificate that cannot be used".to_owned()),
            _ => ("key", "holds a key of a kind that is not supported, or damaged".to_owned()),
        })?;
        Ok(Self { fingerprint, key: Arc::new(key), names, valid_from, valid_until })
    }

    pub fn validity(&self, now: SystemTime) -> Validity {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) as i64;
        if now < self.valid_from {
            Validity::NotYet
        } else if now > self.valid_until {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(dns).collect()
}
