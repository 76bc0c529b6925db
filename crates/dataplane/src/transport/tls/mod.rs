//! TLS on either side, with rustls: certificates and keys come from files, every setting is compiled with the Program, and
//! a handshake only looks things up.

pub mod certificate;
pub mod client;
pub mod compile;
pub mod facts;
pub mod file;
pub mod server;
mod sni;
mod stream;

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::crypto::{aws_lc_rs, CryptoProvider};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::SupportedProtocolVersion;

pub use client::Client;
pub use facts::{ClientCertificate, Facts};
pub use server::Server;
pub use stream::TlsStream;

use crate::snapshot::TlsVersion;

/// Of HTTP/1.1 (RFC 9112 §9.2).
pub const HTTP1: &[u8] = b"http/1.1";
/// Of HTTP/2 over TLS (RFC 9113 §3.2).
pub const HTTP2: &[u8] = b"h2";

/// One for the whole process: algorithms in the order of preference, of which the client's own comes first.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

fn versions(least: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&TLS13];
    match least {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_13,
    }
}
