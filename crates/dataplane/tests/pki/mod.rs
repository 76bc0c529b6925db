//! Certificates made for one test, in files of a folder that goes with it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{json, Value};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("stagedoor-pki-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }

    /// `{chain, key}` as a snapshot wants them.
    pub fn store(&self, name: &str, pair: &Pair) -> Value {
        let chain = self.write(&format!("{name}.pem"), &pair.chain);
        json!({"chain": chain, "key": self.write(&format!("{name}.key"), &pair.key)})
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// A certificate and its key, in PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
}

impl Pair {
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For these names, the first of which is also the subject's.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_until(names, 2100)
    }

    pub fn issue_until(&self, names: &[&str], year: i32) -> Pair {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Pair { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    /// With these subject alternative names, and `subject` as the common name.
    pub fn issue_for(&self, subject: &str, names: Vec<rcgen::SanType>) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        Pair { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()).unwrap();
        roots
    }

    /// A client that trusts this authority and shows `shown`.
    pub fn client(&self, shown: Option<&Pair>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(self.roots());
        match shown {
            None => builder.with_no_client_auth(),
            Some(pair) => builder.with_client_auth_cert(vec![pair.certificate()], pair.key()).unwrap(),
        }
    }

    /// A server that shows `pair`, and asks for certificates of `clients`.
    pub fn server(pair: &Pair, clients: Option<&Authority>) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                tokio_rustls::rustls::server::WebPkiClientVerifier::builder(Arc::new(authority.roots()))
                    .build()
                    .unwrap(),
            ),
        };
        Arc::new(builder.with_single_cert(vec![pair.certificate()], pair.key()).unwrap())
    }
}

pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

pub fn session(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    ClientConnection::new(config.clone(), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
}
