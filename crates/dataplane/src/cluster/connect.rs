//! A new connection to an endpoint: name lookup, and every address in turn.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;

use super::endpoint::Address;
use crate::transport::proxy_protocol::Introduction;
use crate::transport::Stream;

#[derive(Debug)]
pub(super) enum ConnectError {
    Lookup(std::io::Error),
    NoAddress,
    Refused(std::io::Error),
    TimedOut(Duration),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "the name could not be looked up: {error}"),
            Self::NoAddress => write!(f, "the name has no address"),
            Self::Refused(error) => write!(f, "connect: {error}"),
            Self::TimedOut(limit) => {
                write!(f, "connect: no answer within {} ms", limit.as_millis())
            }
        }
    }
}

/// `limit` is for the lookup and all addresses together; each address gets an even share of what is left, so that one
/// that swallows packets does not hide the next.
///
/// What is to be said first is said when this returns.
pub(super) async fn connect(
    address: &Address,
    introduction: Option<Introduction>,
    limit: Duration,
) -> Result<Stream, ConnectError> {
    let deadline = Instant::now() + limit;
    let mut stream = open(address, deadline, limit).await?;
    if let Some(introduction) = introduction {
        let header = introduction.encode(stream.remote());
        let written = timeout_at(deadline.into(), stream.write_all(&header)).await;
        written.map_err(|_| ConnectError::TimedOut(limit))?.map_err(ConnectError::Refused)?;
    }
    Ok(stream)
}

async fn open(address: &Address, deadline: Instant, limit: Duration) -> Result<Stream, ConnectError> {
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
