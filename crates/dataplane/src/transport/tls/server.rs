//! TLS of a listener: its certificates, whom it asks for one, and the handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::aws_lc_rs::Ticketer;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::facts::Facts;
use super::file::{Authorities, Fingerprint};
use super::sni::Names;
use super::stream::TlsStream;
use super::{provider, versions};
use crate::snapshot::TlsVersion;
use crate::transport::Stream;

/// What is asked of a listener's clients.
pub struct Asked {
    pub min_version: TlsVersion,
    /// None: no certificate is asked for.
    pub clients: Option<Clients>,
    /// By ALPN, in the order in which they are preferred (RFC 7301 §3.2).
    pub protocols: Vec<Vec<u8>>,
    pub handshake: Duration,
}

/// Certificates of clients.
pub struct Clients {
    /// Who vouches for them.
    pub authorities: Arc<Authorities>,
    /// Whoever shows none is turned away.
    pub required: bool,
}

/// One for all workers, so that a session begun with one is resumed by any.
pub struct Server {
    config: Arc<ServerConfig>,
    handshake: Duration,
    fingerprint: Vec<u8>,
}

impl Server {
    /// `before`: the same listener's under the Program before. Its tickets stay good. None if there is no certificate.
    pub fn new(certificates: &[Arc<Certificate>], asked: &Asked, before: Option<&Server>) -> Result<Self, Error> {
        let fingerprint = fingerprint(certificates, asked);
        if let Some(before) = before.filter(|before| before.fingerprint == fingerprint) {
            return Ok(Self { config: before.config.clone(), handshake: asked.handshake, fingerprint });
        }
        let names = Names::new(certificates).ok_or(Error::NoCertificatesPresented)?;
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions(asked.min_version))?;
        let builder = match &asked.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = clients.authorities.roots.clone();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = if clients.required { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(names));
        config.alpn_protocols.clone_from(&asked.protocols);
        // Sessions live in the clients' tickets only, so that they cost no memory and no lock.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        if asked.clients.is_some() {
            // A resumed session is not verified again: it would outlive its certificate, and a change of the authorities.
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = match before.map(|before| &before.config.ticketer).filter(|ticketer| ticketer.enabled()) {
                Some(ticketer) => ticketer.clone(),
                None => Ticketer::new()?,
            };
        }
        Ok(Self { config: Arc::new(config), handshake: asked.handshake, fingerprint })
    }

    /// None when the client did not get through; there is nothing to tell it then, and nothing of it is logged.
    pub async fn accept(&self, stream: TcpStream) -> Option<(TlsStream, Facts)> {
        let accepting = TlsAcceptor::from(self.config.clone()).accept(stream).into_fallible();
        match timeout(self.handshake, accepting).await {
            Ok(Ok(stream)) => {
                let facts = Facts::of(stream.get_ref().1);
                Some((TlsStream::server(stream), facts))
            }
            Ok(Err((error, stream))) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    // The alert has been written; the client gets the time to see it.
                    Stream::Tcp(stream).linger().await;
                }
                None
            }
            Err(_late) => None,
        }
    }
}

fn fingerprint(certificates: &[Arc<Certificate>], asked: &Asked) -> Vec<u8> {
    let mut all = [&[asked.min_version as u8], &*asked.protocols.concat()].concat();
    let mut add = |fingerprint: &Fingerprint| all.extend_from_slice(fingerprint);
    certificates.iter().for_each(|certificate| add(&certificate.fingerprint));
    if let Some(clients) = &asked.clients {
        add(&clients.authorities.fingerprint);
        all.push(1 + u8::from(clients.required));
    }
    all
}
