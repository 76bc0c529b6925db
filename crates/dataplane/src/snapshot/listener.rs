//! Where clients come in: addresses, TLS, HTTP/2, the PROXY protocol and the limits of connections.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `IP:PORT`, port 0 lets the system choose; or `unix:` and an absolute path.
    pub bind: String,
    /// Permission bits of the file of a Unix socket.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Addresses (CIDR) whose `Forwarded` and `X-Forwarded-*` headers are believed; `unix`: clients on a Unix socket.
    pub trusted_proxies: Vec<String>,
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whether HTTP/1.1 is spoken at all; connections that begin otherwise than with HTTP/2 are closed without it.
    #[serde(default = "on")]
    pub http1: bool,
    #[serde(default)]
    pub http2: Http2,
    pub limits: ListenerLimits,
    /// Absent: not encrypted.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// Chosen by the name a client asks for; the first is for the others.
    pub certificates: Vec<CertificateFiles>,
    pub min_version: TlsVersion,
    /// Absent: clients are asked for no certificate.
    pub clients: Option<TlsClients>,
    /// From the accept to the end of the handshake; longer is cut off.
    pub handshake_ms: u64,
}

/// Absolute paths of files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate, then those that vouch for it.
    pub chain: String,
    pub key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsClients {
    /// Absolute path of the certificates that vouch for them, in PEM.
    pub ca: String,
    /// Whoever shows no certificate is turned away.
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http2 {
    /// Offered where a protocol is agreed on, which is over TLS.
    pub enabled: bool,
    /// Taken without TLS from clients that begin with it (RFC 9113 §3.3).
    pub h2c: bool,
    /// Streams of a connection at once.
    pub max_streams: u32,
}

fn on() -> bool {
    true
}

impl Default for Http2 {
    fn default() -> Self {
        Self { enabled: true, h2c: false, max_streams: 128 }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Addresses (CIDR), or `unix`, that begin each connection with a PROXY header; others never do.
    pub from: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerLimits {
    /// Request line and headers together; more is 431.
    pub head_bytes: usize,
    /// More is 414.
    pub uri_bytes: usize,
    /// More is 431.
    pub header_count: usize,
    /// Connections at once over all workers; one more is closed at once and counted.
    pub connections: usize,
    /// From the first byte of a head to its end; longer is 408.
    pub head_read_ms: u64,
    /// Between two requests of a connection; then it is closed.
    pub idle_ms: u64,
    /// Between two reads of a request body; longer is 408.
    pub body_idle_ms: u64,
    /// How long an exchange may go on after its client has shut its sending side.
    pub half_close_ms: u64,
}
