//! Addresses we accept on. Each worker has a socket of its own on every address (SO_REUSEPORT), so the kernel spreads
//! connections and no accept is shared. That is not to be had for Unix sockets: there the workers share one.

use std::io;
use std::net::{SocketAddr, TcpListener as TcpSocket};
use std::os::unix::net::UnixListener as UnixSocket;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use crate::forwarded::TrustedProxies;
use crate::head::Bounds;
use crate::program;
use crate::protocol;
use crate::protocol::connection::Connection;
use crate::snapshot;
use crate::transport::unix::{SocketFile, NOWHERE};
use crate::transport::{proxy_protocol, tls, Stream};
use crate::worker::Worker;

/// Connections that the kernel holds for a worker until it accepts them.
const BACKLOG: i32 = 4096;

/// Between two tries when the process has no file descriptor left: accepting would fail again at once.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// What every connection of a listener needs to know. Replaced by a new one when its settings change; connections keep
/// the one that accepted them.
pub struct Listener {
    pub limits: snapshot::ListenerLimits,
    pub bounds: Bounds,
    pub trusted: TrustedProxies,
    /// Who begins connections with a PROXY header.
    proxies: TrustedProxies,
    /// Streams of an HTTP/2 connection at once.
    pub max_streams: u32,
    pub h2c: bool,
    pub http1: bool,
    pub tls: Option<Arc<tls::Server>>,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    /// `previous`: the same listener under the Program before, whose connections count on.
    pub fn new(settings: &program::Listener, previous: Option<&Listener>) -> Self {
        let limits = settings.limits.clone();
        let bounds =
            Bounds { head_bytes: limits.head_bytes, uri_bytes: limits.uri_bytes, header_count: limits.header_count };
        let connections = previous.map(|listener| listener.connections.clone()).unwrap_or_default();
        let (trusted, proxies) = (settings.trusted_proxies.clone(), settings.proxy_protocol.clone());
        let (http1, tls) = (settings.http1, settings.tls.clone());
        let snapshot::Http2 { max_streams, h2c, .. } = settings.http2;
        Self { limits, bounds, trusted, proxies, max_streams, h2c, http1, tls, connections }
    }

    /// None: as many as there may be are open.
    fn enter(&self) -> Option<Place> {
        let place = Place(self.connections.clone());
        (self.connections.fetch_add(1, Relaxed) < self.limits.connections).then_some(place)
    }
}

/// One of the connections that a listener may have open.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One socket for each worker on the same address. Port 0 becomes one free port for all of them. An address that
/// somebody else listens on is an error, although SO_REUSEPORT would share it.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    let socket = |reuse_port| -> io::Result<socket2::Socket> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuse_port)?;
        Ok(socket)
    };
    if address.port() != 0 {
        socket(false)?.bind(&address.into())?;
    }
    let mut bound = address;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers.max(1) {
        let socket = socket(true)?;
        socket.bind(&bound.into())?;
        if let Some(local) = socket.local_addr()?.as_socket() {
            bound = local;
        }
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket.into());
    }
    Ok((bound, sockets))
}

/// One socket on a Unix-domain address, for each worker a handle of it.
pub fn bind_unix(path: &Path, mode: u32, workers: usize) -> io::Result<(SocketFile, Vec<UnixSocket>)> {
    let (file, socket) = SocketFile::listen(path, mode, BACKLOG)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers.max(1) {
        sockets.push(socket.try_clone()?);
    }
    sockets.push(socket);
    Ok((file, sockets))
}

/// What one worker accepts on, before it belongs to the worker's runtime.
pub enum Socket {
    Tcp(TcpSocket),
    Unix(UnixSocket),
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => TcpListener::from_std(socket).map(Acceptor::Tcp),
            Socket::Unix(socket) => UnixListener::from_std(socket).map(Acceptor::Unix),
        }
    }

    /// All that the kernel has accepted by now.
    fn rest(self) -> Vec<(Stream, SocketAddr)> {
        let mut rest = Vec::new();
        match self {
            Acceptor::Tcp(socket) => {
                let Ok(socket) = socket.into_std() else { return rest };
                for (stream, peer) in accepted(|| socket.accept()) {
                    let prepared = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
                    let stream = prepared.and_then(|()| TcpStream::from_std(stream));
                    rest.extend(stream.map(|stream| (Stream::Tcp(stream), peer)));
                }
            }
            Acceptor::Unix(socket) => {
                let Ok(socket) = socket.into_std() else { return rest };
                for (stream, _) in accepted(|| socket.accept()) {
                    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
                    rest.extend(stream.map(|stream| (Stream::Unix(stream), NOWHERE)));
                }
            }
        }
        rest
    }

    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Acceptor::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Without it an answer in two writes would wait for the client's delayed acknowledgement. It cannot
                // matter if it fails.
                let _unset = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream), peer))
            }
            Acceptor::Unix(socket) => Ok((Stream::Unix(socket.accept().await?.0), NOWHERE)),
        }
    }
}

/// No more than the kernel holds: more come as soon as there is room.
fn accepted<T>(mut accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    (0..BACKLOG).map_while(move |_| accept().ok())
}

/// Accepts until told to stop, and takes in what the kernel has accepted before then: closing a socket resets those.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    socket: Socket,
    current: watch::Receiver<Arc<Listener>>,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(socket) = Acceptor::new(socket) else { return };
    loop {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => admit(&worker, &current, stream, peer),
                Err(error) => recover(&error).await,
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // The runtime may not have heard of the last ones.
    for (stream, peer) in socket.rest() {
        admit(&worker, &current, stream, peer);
    }
}

fn admit(worker: &Rc<Worker>, current: &watch::Receiver<Arc<Listener>>, mut stream: Stream, peer: SocketAddr) {
    let listener = current.borrow().clone();
    let Some(place) = listener.enter() else {
        worker.shared.metrics.refused(worker.index);
        return;
    };
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        let _place = place;
        let Some(peer) = introduce(&listener, &mut stream, peer).await else {
            return worker.shared.metrics.refused(worker.index);
        };
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        let connection = Connection::new(peer, listener, scheme);
        let _admitted = worker.admit(&connection);
        let stream = match connection.listener.tls.clone() {
            None => Some(stream),
            Some(tls) => Box::pin(secure(&worker, &connection, &tls, stream)).await,
        };
        if let Some(stream) = stream {
            protocol::serve(worker, connection, stream).await;
        }
    });
}

/// Who is at the other end: by the word of a balancer that may give it, otherwise the peer itself. None: the balancer
/// said nothing that could be understood, or not in time.
async fn introduce(listener: &Listener, stream: &mut Stream, peer: SocketAddr) -> Option<SocketAddr> {
    if !listener.proxies.believes(peer) {
        return Some(peer);
    }
    let limit = Duration::from_millis(listener.limits.head_read_ms);
    let source = Box::pin(tokio::time::timeout(limit, proxy_protocol::read(stream))).await.ok()?.ok()?;
    Some(source.unwrap_or(peer))
}

/// The handshake. What it shows of the client is known to the connection from then on.
async fn secure(worker: &Worker, connection: &Connection, tls: &tls::Server, stream: Stream) -> Option<Stream> {
    let Stream::Tcp(stream) = stream else { return None };
    let accepted = tls.accept(stream).await;
    worker.shared.metrics.shook_hands(worker.index, accepted.is_some());
    let (stream, facts) = accepted?;
    connection.secured(facts);
    Some(Stream::Tls(stream))
}

/// A connection that failed before it was accepted is nobody's matter; a lack of descriptors or memory passes.
async fn recover(error: &io::Error) {
    const CONNECTION: [io::ErrorKind; 3] =
        [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !CONNECTION.contains(&error.kind()) {
        tokio::time::sleep(EXHAUSTED).await;
    }
}
