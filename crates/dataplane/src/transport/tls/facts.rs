//! What a handshake has shown of the client.

use std::rc::Rc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ProtocolVersion, ServerConnection};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::keys::base64url;

/// Names of a client certificate that are kept; one has a few.
const NAMES: usize = 64;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The client asked for HTTP/2 and gets it.
    pub http2: bool,
    /// The name it asked for (RFC 6066 §3), lower-case.
    pub server_name: Option<Box<str>>,
    /// Its certificate, verified.
    pub client: Option<Rc<ClientCertificate>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// As in RFC 4514, the order of the certificate kept.
    pub subject: String,
    /// Subject alternative names, each with its kind: `DNS:`, `URI:`, `email:`, `IP:`.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, lower-case hex.
    pub sha256: String,
    /// The same in base64url, as `x5t#S256` of a token has it (RFC 8705 §3.1).
    pub thumbprint: String,
    pub der: Box<[u8]>,
    /// Those that it was shown with, as they came.
    pub issuers: Vec<Box<[u8]>>,
}

impl Facts {
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        Self {
            version,
            http2: connection.alpn_protocol() == Some(super::HTTP2),
            server_name: connection.server_name().map(|name| name.to_ascii_lowercase().into()),
            client: connection.peer_certificates().and_then(client),
        }
    }
}

fn client(chain: &[CertificateDer<'_>]) -> Option<Rc<ClientCertificate>> {
    let (certificate, issuers) = chain.split_first()?;
    let digest = Sha256::digest(certificate);
    let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (subject, names) = match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => (parsed.subject().to_string(), names(&parsed)),
        // It has been verified by another parser; what cannot be read here says nothing of the client.
        Err(_) => Default::default(),
    };
    Some(Rc::new(ClientCertificate {
        subject,
        names,
        sha256,
        thumbprint: base64url::encode(digest),
        der: certificate.as_ref().into(),
        issuers: issuers.iter().map(|certificate| certificate.as_ref().into()).collect(),
    }))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(found)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(format!("DNS:{}", name.to_ascii_lowercase())),
        GeneralName::URI(uri) => Some(format!("URI:{uri}")),
        GeneralName::RFC822Name(address) => Some(format!("email:{address}")),
        GeneralName::IPAddress(octets) => address(octets).map(|address| format!("IP:{address}")),
        _ => None,
    };
    found.value.general_names.iter().filter_map(name).take(NAMES).collect()
}

fn address(octets: &[u8]) -> Option<std::net::IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(octets).ok().map(Into::into)
}
