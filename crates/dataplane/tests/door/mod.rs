//! A gateway with one listener in front of one endpoint, and a client that reads and writes raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{json, Value};
use stagedoor_dataplane::server::Server;

use crate::wire::{self, Kind, Message, Taken};

/// How long a client waits for what must come. Nothing is measured by it; it ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Door {
    pub server: Server,
    pub address: SocketAddr,
}

/// Everything goes to the endpoint, except `/fixed` (a response of the gateway's own) and `/guarded`, which wants a key.
pub fn snapshot(endpoint: SocketAddr) -> Value {
    let route = |path: &str, target: Value| {
        json!({
            "match": {"hosts": [], "path": path, "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": {}, "target": target,
        })
    };
    let mut guarded = route("/guarded", json!({"cluster": {"cluster": "shop", "path": null}}));
    guarded["policies"] = json!({"authenticate": {"any": [{"api_key": {"header": "x-api-key", "query": null}}]}});
    json!({
        "workers": 1,
        "listeners": {"public": {
            "bind": "127.0.0.1:0", "trusted_proxies": [],
            "limits": {"head_bytes": 2048, "uri_bytes": 256, "header_count": 16, "connections": 100,
                "head_read_ms": 60_000, "idle_ms": 60_000, "body_idle_ms": 60_000, "half_close_ms": 60_000},
        }},
        "consumers": {},
        "clusters": {"shop": {
            "endpoints": [{"authority": endpoint.to_string(), "weight": 1}],
            "balance": "round_robin", "connect_ms": 10_000, "request_ms": 60_000,
            "retry": {"attempts": 0, "connect_failure": true, "statuses": [], "budget_percent": 20},
            "ejection": {"failures": 0, "base_ms": 60_000, "max_ms": 60_000},
            "pool": {"idle": 8, "idle_ms": 60_000, "connections": 8},
        }},
        "routes": {
            "fixed": route("/fixed", json!({"response": {"status": 200, "headers": {}, "body": "fixed"}})),
            "guarded": guarded,
            "all": route("/{rest...}", json!({"cluster": {"cluster": "shop", "path": null}})),
        },
    })
}

impl Door {
    pub fn open(snapshot: Value) -> Self {
        let server = Server::start(&serde_json::from_value(snapshot).expect("a snapshot")).expect("a gateway");
        let address = server.addresses()["public"];
        Self { server, address }
    }

    pub fn before(endpoint: SocketAddr) -> Self {
        Self::open(snapshot(endpoint))
    }

    /// With other limits of its listener, in the snapshot's names.
    pub fn with_limits(endpoint: SocketAddr, limits: Value) -> Self {
        let mut snapshot = snapshot(endpoint);
        for (name, value) in limits.as_object().expect("a map") {
            snapshot["listeners"]["public"]["limits"][name] = value.clone();
        }
        Self::open(snapshot)
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }
}

/// Polls until it is true; fails loudly when it never is.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How a client's reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
    /// Neither within `PATIENCE`.
    Silent,
}

pub struct Client {
    pub stream: TcpStream,
    /// Read from the socket and not taken yet.
    pub unread: Vec<u8>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        Self { stream, unread: Vec::new() }
    }

    /// False when the gateway no longer takes anything, which is no fault: it may close before all is sent.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// In pieces of `size`, each a write of its own.
    pub fn send_pieces(&mut self, bytes: &[u8], size: usize) -> bool {
        bytes.chunks(size).all(|piece| {
            let sent = self.send(piece);
            std::thread::yield_now();
            sent
        })
    }

    /// Says that nothing more will be sent.
    pub fn shut(&self) {
        let _gone = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads more; the end if there is no more.
    pub fn read(&mut self) -> Result<(), End> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(End::Silent),
            Err(_) => Err(End::Reset),
        }
    }

    /// The next whole answer; fails loudly where there is none.
    pub fn answer(&mut self) -> Message {
        let mut end = None;
        loop {
            match wire::take(&self.unread, Kind::Answer, end == Some(End::Closed)) {
                Taken::Whole(message, taken) => {
                    self.unread.drain(..taken);
                    return *message;
                }
                Taken::Partial if end.is_none() => end = self.read().err(),
                other => panic!("{other:?}, {end:?} after {:?}", String::from_utf8_lossy(&self.unread)),
            }
        }
    }

    /// Sends and takes the answer.
    pub fn ask(&mut self, request: &[u8]) -> Message {
        assert!(self.send(request), "the gateway takes nothing more");
        self.answer()
    }

    /// True when the gateway closes in order without a further byte.
    pub fn is_closed(&mut self) -> bool {
        let (rest, end) = self.rest();
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
        end == End::Closed
    }

    /// Reads to the end.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.read() {
                return (std::mem::take(&mut self.unread), end);
            }
        }
    }
}
