//! One server of a cluster, as compiled from the configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use http::uri::Authority;
use tokio_rustls::rustls::pki_types::ServerName;

use super::health::EndpointHealth;
use crate::transport::{tls, unix};

#[derive(Clone)]
pub struct Endpoint {
    /// `host:port` or `unix:/path`, as configured: for logs and metrics.
    pub name: Arc<str>,
    pub(super) address: Address,
    /// None: not encrypted.
    pub(super) tls: Option<Secured>,
    pub(super) weight: u32,
    pub(super) health: Arc<EndpointHealth>,
}

/// How an endpoint is called over TLS.
#[derive(Clone)]
pub(super) struct Secured {
    pub(super) client: Arc<tls::Client>,
    /// What its certificate must be for.
    pub(super) name: ServerName<'static>,
}

impl Secured {
    /// `name` instead of the address's own host.
    pub(super) fn new(client: Arc<tls::Client>, address: &Address, name: Option<&str>) -> Result<Self, String> {
        let name = match (name, address) {
            (Some(name), _) => ServerName::try_from(name.to_owned()),
            (None, Address::Name(host, _)) => ServerName::try_from(host.to_string()),
            (None, Address::Socket(address)) => Ok(address.ip().into()),
            (None, Address::Unix(_)) => return Err("tls: a Unix socket is not encrypted".to_owned()),
        };
        let name = name.map_err(|_| "tls: server_name: expected a host name or an IP address".to_owned())?;
        Ok(Self { client, name })
    }
}

impl Endpoint {
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Connections are shared by those only who would make the same ones: none is lent to somebody who shows another
    /// certificate, or who would not have trusted it.
    pub(super) fn pool_key(&self) -> PoolKey {
        let tls = self.tls.as_ref().map(|tls| (tls.client.identity, tls.name.clone()));
        PoolKey { endpoint: self.health.id, tls }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    endpoint: u64,
    tls: Option<(u64, ServerName<'static>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Socket(SocketAddr),
    /// Looked up for every new connection.
    Name(Box<str>, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Its `Host` where a request names none; a path is no name.
    pub(super) fn authority(&self) -> &str {
        match self.address {
            Address::Unix(_) => "localhost",
            _ => &self.name,
        }
    }
}

impl Address {
    /// `host:port`, IPv6 addresses in brackets (RFC 3986 §3.2.2); or `unix:` and an absolute path.
    pub(super) fn parse(authority: &str) -> Result<Self, String> {
        if let Some(path) = authority.strip_prefix("unix:") {
            let wrong = |wrong| format!("endpoint `{authority}`: {wrong}");
            return unix::path(path).map(Self::Unix).map_err(wrong);
        }
        let wrong = |what: &str| format!("endpoint `{authority}`: {what}; expected `host:port`");
        if authority.contains('@') {
            return Err(wrong("user information is not allowed"));
        }
        let parsed: Authority = authority.parse().map_err(|_| wrong("not a valid authority"))?;
        let port = parsed.port_u16().filter(|port| *port != 0).ok_or_else(|| wrong("the port is missing"))?;
        let host = parsed.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Socket(SocketAddr::new(address, port))),
            Err(_) if host.is_empty() || host.starts_with('[') => Err(wrong("not a valid host")),
            Err(_) => Ok(Self::Name(host.into(), port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_addresses_or_names_with_a_port() {
        assert_eq!(Address::parse("127.0.0.1:80"), Ok(Address::Socket(([127, 0, 0, 1], 80).into())));
        assert!(matches!(Address::parse("[::1]:8080"), Ok(Address::Socket(address)) if address.is_ipv6()));
        assert_eq!(Address::parse("stock.local:81"), Ok(Address::Name("stock.local".into(), 81)));
        for wrong in ["", "host", "host:", "host:0", "host:99999", "user@host:80", "http://host:80", "[::1]", "a b:80"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Address::parse("unix:/run/a b.sock"), Ok(Address::Unix("/run/a b.sock".into())));
        for wrong in ["unix:", "unix:run/a.sock", "unix:/run/a\0.sock", &format!("unix:/{}", "a".repeat(107))] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }
}
