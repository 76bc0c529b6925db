//! TLS to endpoints: who they must prove to be, and what the gateway shows them.

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature, CryptoProvider};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::certificate::Certificate;
use super::file::Authorities;
use super::stream::TlsStream;
use super::{provider, versions, HTTP1};
use crate::snapshot::TlsVersion;

/// Whose word is taken for an endpoint's certificate.
pub enum Trust {
    Authorities(Arc<Authorities>),
    /// Those that the system trusts.
    System,
    /// Anybody's: what is sent can be read and changed by whoever is in between.
    Anybody,
}

/// One for all workers.
pub struct Client {
    config: Arc<ClientConfig>,
    /// The same for what makes the same connections, so that pools are kept apart by it.
    pub identity: u64,
}

impl Client {
    /// `shown`: the gateway's own certificate, for endpoints that ask for one.
    /// `known`: one that was made before, whose sessions are kept.
    pub fn new(
        trust: &Trust,
        shown: Option<&Certificate>,
        known: impl FnOnce(u64) -> Option<Arc<Self>>,
    ) -> Result<Arc<Self>, String> {
        let identity = identity(trust, shown);
        if let Some(known) = known(identity) {
            return Ok(known);
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(TlsVersion::Tls12))
            .map_err(|error| error.to_string())?;
        let builder = match trust {
            Trust::Authorities(authorities) => builder.with_root_certificates(authorities.roots.clone()),
            Trust::System => builder.with_root_certificates(system()?),
            Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider()))),
        };
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let shown = SingleCertAndKey::from(certificate.key.clone());
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Ok(Arc::new(Self { config: Arc::new(config), identity }))
    }

    /// `offers`: the protocols to choose from, the best first; none is HTTP/1.1.
    pub(crate) async fn connect(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
        offers: &[&[u8]],
    ) -> io::Result<TlsStream> {
        let connector = TlsConnector::from(self.config.clone());
        let stream = match offers {
            [] => connector.connect(name, stream).await?,
            offers => {
                connector.with_alpn(offers.iter().map(|offer| offer.to_vec()).collect()).connect(name, stream).await?
            }
        };
        Ok(TlsStream::client(stream))
    }
}

fn identity(trust: &Trust, shown: Option<&Certificate>) -> u64 {
    let mut digest = Sha256::new();
    match trust {
        Trust::Authorities(authorities) => digest.update(authorities.fingerprint),
        Trust::System => digest.update(b"system"),
        Trust::Anybody => digest.update(b"anybody"),
    }
    if let Some(certificate) = shown {
        digest.update(certificate.fingerprint);
    }
    let mut identity = [0; 8];
    identity.copy_from_slice(&digest.finalize()[..8]);
    // 0 is for what is not encrypted.
    u64::from_be_bytes(identity).max(1)
}

fn system() -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system has no certificates of authorities: install them, or name a 'ca'".to_owned());
    }
    Ok(Arc::new(roots))
}

/// Takes any certificate, but only from whoever has its key.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
