//! The connections of one worker to one endpoint, and the streams on them. A new connection is opened only when those
//! that there are have no room, one at a time; whoever waits is served in the order of coming.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::{Connection, Gauge};
use super::driver::{self, HandshakeError};
use super::keep_alive::Patience;
use crate::cluster::connect::{self, ConnectError, Opening};
use crate::cluster::endpoint::{Address, Secured};
use crate::cluster::fault::chain;
use crate::snapshot::Pool as Bounds;
use crate::telemetry::metrics::ClusterMetrics;
use crate::transport::{tls, Stream};

/// How long an endpoint that chose HTTP/1.1 is not asked again.
const SETTLED: Duration = Duration::from_secs(600);

/// How a new connection is made.
pub(in crate::cluster) struct Connector {
    pub(in crate::cluster) address: Address,
    pub(in crate::cluster) tls: Option<Secured>,
    /// The endpoint may choose HTTP/1.1 instead.
    pub(in crate::cluster) optional: bool,
    /// For the look-up, the connection and the first SETTINGS, each.
    pub(in crate::cluster) limit: Duration,
}

#[derive(Debug)]
pub(in crate::cluster) enum OpenError {
    Connect(ConnectError),
    /// The endpoint chose HTTP/1.1, as it may.
    Declined,
    /// The endpoint does not choose HTTP/2 and nothing else is to be spoken.
    NotChosen,
    Closed,
    Protocol(h2::Error),
    Silent(Duration),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Declined | Self::NotChosen => write!(f, "TLS: the endpoint does not choose HTTP/2 (ALPN)"),
            Self::Closed => write!(f, "HTTP/2: the endpoint closed the connection"),
            Self::Protocol(error) => write!(f, "HTTP/2: {}", chain(error)),
            Self::Silent(limit) => write!(f, "HTTP/2: no SETTINGS within {} ms", limit.as_millis()),
        }
    }
}

impl Connector {
    async fn open(&self) -> Result<driver::Opened<Stream>, OpenError> {
        let offers: &[&[u8]] = if self.optional { &[tls::HTTP2, tls::HTTP1] } else { &[tls::HTTP2] };
        let opening = Opening { tls: self.tls.as_ref(), offers, ..Opening::default() };
        let stream = connect::connect(&self.address, opening, self.limit).await.map_err(OpenError::Connect)?;
        if self.tls.is_some() && !stream.is_http2() {
            return Err(if self.optional { OpenError::Declined } else { OpenError::NotChosen });
        }
        match timeout(self.limit, driver::handshake(stream)).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(HandshakeError::Closed)) => Err(OpenError::Closed),
            Ok(Err(HandshakeError::Protocol(error))) => Err(OpenError::Protocol(error)),
            Err(_) => Err(OpenError::Silent(self.limit)),
        }
    }
}

type Granted = Result<Lease, Rc<OpenError>>;

pub(in crate::cluster) struct Pool {
    connector: RefCell<Rc<Connector>>,
    bounds: RefCell<Bounds>,
    version: Cell<u64>,
    gauge: Gauge,
    patience: Patience,
    /// Those on which there may be new streams.
    connections: RefCell<Vec<Rc<Connection>>>,
    /// All, also those that only finish what they carry.
    open: Cell<usize>,
    opening: Cell<bool>,
    waiting: RefCell<VecDeque<oneshot::Sender<Granted>>>,
    serving: Cell<bool>,
    /// Until then the endpoint is taken to speak HTTP/1.1.
    declined: Cell<Option<Instant>>,
    retired: Cell<bool>,
}

impl Pool {
    pub(in crate::cluster) fn new(
        connector: Connector,
        bounds: &Bounds,
        metrics: Arc<ClusterMetrics>,
        worker: usize,
    ) -> Rc<Self> {
        Rc::new(Self {
            connector: RefCell::new(Rc::new(connector)),
            bounds: RefCell::new(bounds.clone()),
            version: Cell::new(0),
            gauge: Gauge { metrics, worker },
            patience: Patience::default(),
            connections: RefCell::default(),
            open: Cell::new(0),
            opening: Cell::new(false),
            waiting: RefCell::default(),
            serving: Cell::new(false),
            declined: Cell::new(None),
            retired: Cell::new(false),
        })
    }

    /// `version` of the cluster that asks: an exchange that began under an older Program changes nothing.
    pub(in crate::cluster) fn configure(&self, connector: Connector, bounds: &Bounds, version: u64) {
        if version < self.version.replace(version.max(self.version.get())) {
            return;
        }
        self.connector.replace(Rc::new(connector));
        self.bounds.replace(bounds.clone());
        self.retired.set(false);
    }

    /// Closes what is idle and keeps nothing from now on. Exchanges under way are not disturbed.
    pub(in crate::cluster) fn retire(&self) {
        self.retired.set(true);
        let idle = self.take_idle(0);
        drop(idle);
    }

    /// The endpoint has chosen HTTP/1.1 not long ago.
    pub(in crate::cluster) fn is_declined(&self) -> bool {
        self.declined.get().is_some_and(|until| Instant::now() < until)
    }

    /// The right to one stream. The caller bounds the time by dropping the future.
    pub(in crate::cluster) async fn acquire(self: &Rc<Self>) -> Granted {
        if !self.is_awaited() {
            if let Some(lease) = self.lease() {
                return Ok(lease);
            }
        }
        loop {
            let (sender, receiver) = oneshot::channel();
            self.waiting.borrow_mut().push_back(sender);
            self.serve_waiting();
            if let Ok(granted) = receiver.await {
                return granted;
            }
        }
    }

    fn lease(self: &Rc<Self>) -> Option<Lease> {
        let left: Vec<_> = {
            let mut connections = self.connections.borrow_mut();
            let (kept, left) = connections.drain(..).partition(|connection| !connection.is_leaving());
            *connections = kept;
            left
        };
        drop(left);
        let connections = self.connections.borrow();
        let connection = connections.iter().find(|connection| connection.has_room())?.clone();
        let reused = connection.take_stream();
        Some(Lease { connection, reused })
    }

    /// Somebody waits for a stream; those who have gone meanwhile do not count.
    pub(super) fn is_awaited(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        while waiting.front().is_some_and(oneshot::Sender::is_closed) {
            waiting.pop_front();
        }
        !waiting.is_empty()
    }

    /// Gives what there is to those who wait, and opens a connection if that is not enough.
    pub(super) fn serve_waiting(self: &Rc<Self>) {
        // A lease whose taker has gone comes back here when it is dropped.
        if self.serving.replace(true) {
            return;
        }
        while self.is_awaited() {
            let Some(lease) = self.lease() else {
                self.open_one();
                break;
            };
            if let Some(next) = self.waiting.borrow_mut().pop_front() {
                let _gone = next.send(Ok(lease));
            }
        }
        self.serving.set(false);
    }

    /// Those that only finish what they carry do not stand in the way of as many others.
    fn open_one(self: &Rc<Self>) {
        let most = self.bounds.borrow().connections;
        let full = self.connections.borrow().len() >= most || self.open.get() >= 2 * most;
        if full || self.opening.replace(true) {
            return;
        }
        let (connector, pool) = (self.connector.borrow().clone(), self.clone());
        tokio::task::spawn_local(async move {
            let opened = connector.open().await;
            pool.opening.set(false);
            pool.opened(opened);
        });
    }

    fn opened(self: &Rc<Self>, opened: Result<driver::Opened<Stream>, OpenError>) {
        match opened {
            Ok(opened) => {
                let secure = self.connector.borrow().tls.is_some();
                let connection = Connection::new(opened.sender.clone(), self, secure, self.gauge.clone());
                self.open.set(self.open.get() + 1);
                tokio::task::spawn_local(opened.into_driver(&connection, self.patience));
                self.connections.borrow_mut().push(connection);
                self.serve_waiting();
                if self.retired.get() {
                    self.retire();
                }
            }
            // With other connections there, whoever waits has still something to wait for.
            Err(_) if !self.connections.borrow().is_empty() => {}
            Err(error) => {
                if matches!(error, OpenError::Declined) {
                    self.declined.set(Some(Instant::now() + SETTLED));
                }
                let error = Rc::new(error);
                for waiting in self.waiting.take() {
                    let _gone = waiting.send(Err(error.clone()));
                }
            }
        }
    }

    pub(super) fn idle_limit(&self) -> Duration {
        Duration::from_millis(self.bounds.borrow().idle_ms)
    }

    /// No new stream on this one; it closes with the last that it carries.
    pub(super) fn forget(&self, connection: &Rc<Connection>) {
        self.connections.borrow_mut().retain(|known| !Rc::ptr_eq(known, connection));
    }

    fn take_idle(&self, keep: usize) -> Vec<Rc<Connection>> {
        let mut kept = 0;
        let mut connections = self.connections.borrow_mut();
        let (left, idle) = connections.drain(..).partition(|connection| {
            kept += usize::from(connection.is_idle());
            !connection.is_idle() || kept <= keep
        });
        *connections = left;
        idle
    }

    /// A connection is gone.
    pub(super) fn closed(&self) {
        self.open.set(self.open.get() - 1);
    }
}

/// The right to one stream of a connection.
pub(in crate::cluster) struct Lease {
    pub(super) connection: Rc<Connection>,
    /// The connection has carried an exchange before.
    pub(in crate::cluster) reused: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.give_stream();
        let Some(pool) = self.connection.pool.upgrade() else {
            return;
        };
        pool.serve_waiting();
        if self.connection.is_idle() {
            let keep = if pool.retired.get() { 0 } else { pool.bounds.borrow().idle };
            let surplus = pool.take_idle(keep);
            drop(surplus);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use http::Request;

    use super::super::Unanswered;
    use super::*;
    use crate::protocol::body::Body;
    use crate::telemetry::metrics::Metrics;

    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: u8 = 6;
    const PONG_HEAD: &[u8] = &[0, 0, 8, 6, 1, 0, 0, 0, 0];
    /// 200 and the end of the first stream.
    const OK: &[u8] = &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88];

    /// An endpoint that says nothing until it is asked by a PING whether it is there, and then this.
    fn endpoint(answers: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(SETTINGS).unwrap();
            stream.read_exact(&mut [0; 24]).unwrap();
            let mut head = [0; 9];
            while stream.read_exact(&mut head).is_ok() {
                let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
                stream.read_exact(&mut payload).unwrap();
                if head[3] == PING && answers {
                    stream.write_all(&[PONG_HEAD, &payload, OK].concat()).unwrap();
                }
            }
        });
        address
    }

    /// Asks once, with little patience for silence.
    fn ask(address: SocketAddr) -> Result<u16, Unanswered> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(tokio::task::LocalSet::new().run_until(async {
            let connector = Connector {
                address: Address::Socket(address),
                tls: None,
                optional: false,
                limit: Duration::from_secs(10),
            };
            let bounds = Bounds { idle: 1, idle_ms: 60_000, connections: 1 };
            let mut pool = Pool::new(connector, &bounds, Metrics::new(1).cluster(&"test".into()), 0);
            let silence = Duration::from_millis(20);
            let spacing = Duration::from_secs(60);
            Rc::get_mut(&mut pool).unwrap().patience = Patience { silence, answer: silence * 5, spacing };
            let lease = pool.acquire().await.unwrap();
            let (head, ()) = Request::get("/").body(()).unwrap().into_parts();
            lease.send(head, Body::empty(), "test", None, |_| ()).await.map(|(head, _)| head.status.as_u16())
        }))
    }

    #[test]
    fn a_connection_whose_other_side_answers_no_ping_ends_its_exchanges() {
        match ask(endpoint(false)) {
            Err(Unanswered::Theirs { error, unprocessed, .. }) => assert!(error.is_io() && !unprocessed, "{error}"),
            _ => panic!("the silence was borne"),
        }
    }

    #[test]
    fn an_endpoint_that_is_slow_is_asked_whether_it_is_there() {
        assert!(matches!(ask(endpoint(true)), Ok(200)));
    }
}
