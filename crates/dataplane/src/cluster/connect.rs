//! A new connection to an endpoint: name lookup, and every address in turn.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;

use super::endpoint::{Address, Secured};
use crate::transport::proxy_protocol::Introduction;
use crate::transport::Stream;

#[derive(Debug)]
pub(super) enum ConnectError {
    Lookup(std::io::Error),
    NoAddress,
    Refused(std::io::Error),
    TimedOut(Duration),
    Handshake(std::io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "the name could not be looked up: {error}"),
            Self::NoAddress => write!(f, "the name has no address"),
            Self::Refused(error) => write!(f, "connect: {error}"),
            Self::Handshake(error) => write!(f, "TLS: {error}"),
            Self::TimedOut(limit) => {
                write!(f, "connect: no answer within {} ms", limit.as_millis())
            }
        }
    }
}

/// What is to be said when a connection stands, before anything else and never encrypted, and how it is encrypted then.
#[derive(Clone, Copy, Default)]
pub(super) struct Opening<'a> {
    pub(super) introduction: Option<Introduction>,
    pub(super) tls: Option<&'a Secured>,
    /// What the endpoint may choose from over TLS; nothing is HTTP/1.1.
    pub(super) offers: &'static [&'static [u8]],
}

/// `limit` is for the lookup, all addresses, and the opening together.
pub(super) async fn connect(address: &Address, opening: Opening<'_>, limit: Duration) -> Result<Stream, ConnectError> {
    let deadline = Instant::now() + limit;
    let mut stream = reach(address, deadline, limit).await?;
    if let Some(introduction) = opening.introduction {
        let header = introduction.encode(remote(&stream));
        let written = timeout_at(deadline.into(), stream.write_all(&header)).await;
        written.map_err(|_| ConnectError::TimedOut(limit))?.map_err(ConnectError::Refused)?;
    }
    let (tls, stream) = match (opening.tls, stream) {
        (Some(tls), Stream::Tcp(stream)) => (tls, stream),
        // What needs no network is not encrypted.
        (_, stream) => return Ok(stream),
    };
    match timeout_at(deadline.into(), Box::pin(tls.client.connect(tls.name.clone(), stream, opening.offers))).await {
        Ok(Ok(stream)) => Ok(Stream::Tls(stream)),
        Ok(Err(error)) => Err(ConnectError::Handshake(error)),
        Err(_) => Err(ConnectError::TimedOut(limit)),
    }
}

/// The address that was reached; none for Unix sockets.
fn remote(stream: &Stream) -> Option<SocketAddr> {
    match stream {
        Stream::Tcp(stream) => stream.peer_addr().ok(),
        _ => None,
    }
}

/// Each address gets an even share of the time that is left, so that one that swallows packets does not hide the next.
async fn reach(address: &Address, deadline: Instant, limit: Duration) -> Result<Stream, ConnectError> {
    match address {
        Address::Socket(address) => attempt(*address, deadline, limit).await,
        Address::Unix(path) => match timeout_at(deadline.into(), UnixStream::connect(path)).await {
            Ok(connected) => connected.map(Stream::Unix).map_err(ConnectError::Refused),
            Err(_) => Err(ConnectError::TimedOut(limit)),
        },
        Address::Name(host, port) => {
            let lookup = tokio::net::lookup_host((&**host, *port));
            let found = timeout_at(deadline.into(), lookup).await.map_err(|_| ConnectError::TimedOut(limit))?;
            let addresses: Vec<SocketAddr> = found.map_err(ConnectError::Lookup)?.collect();
            let mut last = ConnectError::NoAddress;
            for (index, address) in addresses.iter().enumerate() {
                let left = deadline.saturating_duration_since(Instant::now());
                let share = left / (addresses.len() - index) as u32;
                match attempt(*address, Instant::now() + share, limit).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

async fn attempt(address: SocketAddr, until: Instant, limit: Duration) -> Result<Stream, ConnectError> {
    match timeout_at(until.into(), TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Heads and bodies are written when they are complete; waiting for more only delays them.
            let _ = stream.set_nodelay(true);
            Ok(Stream::Tcp(stream))
        }
        Ok(Err(error)) => Err(ConnectError::Refused(error)),
        Err(_) => Err(ConnectError::TimedOut(limit)),
    }
}
