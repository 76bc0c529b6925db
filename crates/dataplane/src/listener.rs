//! Addresses we accept on. Each worker has a socket of its own on every address (SO_REUSEPORT), so the kernel spreads
//! connections and no accept is shared.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::forwarded::TrustedProxies;
use crate::head::Bounds;
use crate::program;
use crate::protocol::connection::Connection;
use crate::protocol::http1;
use crate::snapshot;
use crate::transport::Stream;
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
    connections: Arc<AtomicUsize>,
}

impl Listener {
    /// `previous`: the same listener under the Program before, whose connections count on.
    pub fn new(settings: &program::Listener, previous: Option<&Listener>) -> Self {
        let limits = settings.limits.clone();
        let bounds =
            Bounds { head_bytes: limits.head_bytes, uri_bytes: limits.uri_bytes, header_count: limits.header_count };
        let connections = previous.map(|listener| listener.connections.clone()).unwrap_or_default();
        Self { limits, bounds, trusted: settings.trusted_proxies.clone(), connections }
    }

    fn enter(&self) -> bool {
        if self.connections.fetch_add(1, Relaxed) < self.limits.connections {
            return true;
        }
        self.leave();
        false
    }

    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }
}

/// One socket for each worker on the same address. Port 0 becomes one free port for all of them. An address that
/// somebody else listens on is an error, although SO_REUSEPORT would share it.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<StdListener>)> {
    let socket = |reuse_port| -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

/// Accepts until told to stop, and takes in what the kernel has accepted before then: closing a socket resets those.
pub(crate) async fn accept(
    worker: Rc<Worker>,
    socket: StdListener,
    current: watch::Receiver<Arc<Listener>>,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(socket) = TcpListener::from_std(socket) else { return };
    loop {
        tokio::select! {
            biased;
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => admit(&worker, &current, stream, peer),
                Err(error) => recover(&error).await,
            },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn admit(
    worker: &Rc<Worker>,
    current: &watch::Receiver<Arc<Listener>>,
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
) {
    let listener = current.borrow().clone();
    if !listener.enter() {
        worker.shared.metrics.refused(worker.index);
        return;
    }
    // Without it an answer in two writes would wait for the client's delayed acknowledgement. It cannot matter if it fails.
    let _unset = stream.set_nodelay(true);
    let connection = Connection::new(peer, listener, "http");
    let admitted = worker.admit(&connection);
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        http1::serve(worker, connection, Stream::Tcp(stream)).await;
        drop(admitted);
    });
}

/// A connection that failed before it was accepted is nobody's matter; a lack of descriptors or memory passes.
async fn recover(error: &io::Error) {
    const CONNECTION: [io::ErrorKind; 3] =
        [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !CONNECTION.contains(&error.kind()) {
        tokio::time::sleep(EXHAUSTED).await;
    }
}
