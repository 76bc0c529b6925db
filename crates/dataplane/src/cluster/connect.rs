//! A new connection to an endpoint: name lookup, every address in turn, HTTP/1.1 handshake.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{Builder, SendRequest};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::endpoint::Address;
use super::interim::Interim;
use super::io::Socket;
use super::upload::Upload;

/// Bytes of an endpoint's answer that are buffered at most; also the bound of its head.
const BUFFER_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) enum ConnectError {
    Lookup(std::io::Error),
    NoAddress,
    Refused(std::io::Error),
    TimedOut(Duration),
    Handshake(hyper::Error),
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
            Self::Handshake(error) => write!(f, "connect: {error}"),
        }
    }
}

/// `limit` is for the lookup and all addresses together; each address gets an even share of what is left, so that one
/// that swallows packets does not hide the next.
pub(super) async fn connect(address: &Address, limit: Duration) -> Result<TcpStream, ConnectError> {
    let deadline = Instant::now() + limit;
    match address {
        Address::Socket(address) => attempt(*address, deadline, limit).await,
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

async fn attempt(address: SocketAddr, until: Instant, limit: Duration) -> Result<TcpStream, ConnectError> {
    match timeout_at(until.into(), TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            // Heads and bodies are written when they are complete; waiting for more only delays them.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(ConnectError::Refused(error)),
        Err(_) => Err(ConnectError::TimedOut(limit)),
    }
}

pub(super) async fn handshake(
    stream: TcpStream,
    interim: Rc<Interim>,
) -> Result<(SendRequest<Upload>, Socket, AbortHandle), ConnectError> {
    let socket = Socket::new(stream, interim);
    let (sender, connection) = Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(BUFFER_BYTES)
        .handshake::<_, Upload>(socket.clone())
        .await
        .map_err(ConnectError::Handshake)?;
    // Errors reach the exchange through the sender or the body; a failure while idle shows when it is lent again.
    let task = tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    Ok((sender, socket, task.abort_handle()))
}
