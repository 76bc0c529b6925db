//! An endpoint that follows a script in raw bytes and remembers what it was sent, and what a worker needs to call it.

use std::future::{poll_fn, Future};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as _, Frame};
use stagedoor_dataplane::cluster::{retry, Cluster, InterimSink, Pools, SendOptions, SendReport};
use stagedoor_dataplane::error::Error;
use stagedoor_dataplane::protocol::body::Body;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::snapshot;

pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Bytes received, one entry for each connection in the order of acceptance.
pub type Received = Arc<Mutex<Vec<Vec<u8>>>>;

pub struct Endpoint {
    pub address: SocketAddr,
    pub received: Received,
}

/// One accepted connection.
pub struct Connection {
    /// From 0.
    pub index: usize,
    pub stream: TcpStream,
    received: Received,
    unread: Vec<u8>,
}

impl Endpoint {
    /// Runs the script for each connection, on a thread of its own.
    pub fn start(script: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let script = Arc::new(script);
        let seen = received.clone();
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let (script, received) = (script.clone(), seen.clone());
                let stream = stream.unwrap();
                received.lock().unwrap().push(Vec::new());
                std::thread::spawn(move || script(Connection { index, stream, received, unread: Vec::new() }));
            }
        });
        Self { address, received }
    }

    /// Answers every request with the same bytes.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |mut connection| while connection.request().is_some() && connection.send(answer) {})
    }

    pub fn connections(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Everything received so far, as text, over all connections.
    pub fn text(&self) -> String {
        self.received.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// How many request heads it has seen.
    pub fn requests(&self) -> usize {
        self.text().matches(" HTTP/1.").count()
    }
}

/// An address at which nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Connection {
    /// Reads more; false at the end.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                self.received.lock().unwrap()[self.index].extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// The next head, as text.
    pub fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.unread, b"\r\n\r\n") {
                let head: Vec<u8> = self.unread.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// The next whole request, head and body as sent.
    pub fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let head = self.head()?;
        let lower = head.to_ascii_lowercase();
        let body = if lower.contains("transfer-encoding: chunked") {
            let end = loop {
                match find(&self.unread, b"\r\n0\r\n").or((self.unread.starts_with(b"0\r\n")).then_some(0)) {
                    Some(start) if self.unread[start..].ends_with(b"\r\n\r\n") => break self.unread.len(),
                    _ if self.read() => {}
                    _ => return None,
                }
            };
            self.unread.drain(..end).collect()
        } else {
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |value| value.trim().parse().unwrap());
            while self.unread.len() < length {
                if !self.read() {
                    return None;
                }
            }
            self.unread.drain(..length).collect()
        };
        Some((head, body))
    }

    /// All that this connection has received, as text.
    pub fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received.lock().unwrap()[self.index]).into_owned()
    }

    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Closes so that the other side sees a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Closes in order and waits until the other side has done so too.
    pub fn close(mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.read() {}
    }

    /// Reads until the other side closes.
    pub fn wait_closed(mut self) {
        while self.read() {}
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Polls until it is true; fails loudly after ten seconds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs as a worker does: one thread, local tasks.
pub fn on_worker<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(test))
}

pub fn settings(endpoints: &[SocketAddr]) -> snapshot::Cluster {
    snapshot::Cluster {
        endpoints: endpoints
            .iter()
            .map(|address| snapshot::Endpoint { authority: address.to_string(), tls: false, weight: 1 })
            .collect(),
        proxy_protocol: None,
        protocol: snapshot::Protocol::Http1,
        balance: snapshot::Balance::RoundRobin,
        connect_ms: 1000,
        request_ms: 10_000,
        retry: snapshot::Retry { attempts: 2, connect_failure: true, statuses: vec![], budget_percent: 20 },
        ejection: snapshot::Ejection { failures: 0, base_ms: 1000, max_ms: 60_000, keep: 0 },
        pool: snapshot::Pool { idle: 8, idle_ms: 60_000, connections: 8 },
        tls: snapshot::ClusterTls::default(),
        credentials: None,
    }
}

/// One worker with one cluster.
#[derive(Clone)]
pub struct Worker {
    pub pools: Rc<Pools>,
    pub shared: Rc<Shared>,
    pub cluster: Arc<Cluster>,
}

impl Worker {
    pub fn new(settings: &snapshot::Cluster) -> Self {
        let shared = Shared::new(1);
        let cluster = Cluster::build("test", settings, &shared).unwrap();
        Self { pools: Pools::new(0), shared: Rc::new(shared), cluster }
    }

    /// A new Program with the same worker.
    pub fn apply(&mut self, settings: &snapshot::Cluster) {
        self.cluster = Cluster::build("test", settings, &self.shared).unwrap();
        self.pools.retain([&self.cluster].into_iter());
    }

    pub async fn send(&self, request: Request<Body>) -> (Result<Response<Body>, Error>, SendReport) {
        self.send_within(request, Duration::from_secs(10), None).await
    }

    pub async fn send_within(
        &self,
        request: Request<Body>,
        limit: Duration,
        interim: Option<InterimSink>,
    ) -> (Result<Response<Body>, Error>, SendReport) {
        let mut report = SendReport::default();
        let idempotent = retry::is_idempotent(request.method());
        let options = SendOptions {
            deadline: Instant::now() + limit,
            stream: None,
            is_call: false,
            idempotent,
            interim,
            grant: None,
            source: None,
            report: &mut report,
        };
        let outcome = self.cluster.send(&self.pools, request, options).await;
        (outcome, report)
    }

    /// Sends and reads the whole answer.
    pub async fn fetch(&self, request: Request<Body>) -> Result<(u16, String), Error> {
        let (head, body) = self.send(request).await.0?.into_parts();
        let (bytes, _) = collect(body).await?;
        Ok((head.status.as_u16(), String::from_utf8(bytes).unwrap()))
    }
}

pub fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(path).header("host", "shop.example").body(body).unwrap()
}

pub fn get(path: &str) -> Request<Body> {
    request("GET", path, Body::empty())
}

/// The content and the trailers.
pub async fn collect(mut body: Body) -> Result<(Vec<u8>, Option<HeaderMap>), Error> {
    let (mut content, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((content, trailers))
}

pub type Feed = tokio::sync::mpsc::UnboundedSender<Result<Frame<Bytes>, Error>>;

/// A body that is fed while it is sent.
pub fn streamed() -> (Feed, Body) {
    let (feed, frames) = tokio::sync::mpsc::unbounded_channel();
    (feed, Body::stream(Streamed(frames)))
}

pub fn data(bytes: &'static [u8]) -> Result<Frame<Bytes>, Error> {
    Ok(Frame::data(Bytes::from_static(bytes)))
}

struct Streamed(tokio::sync::mpsc::UnboundedReceiver<Result<Frame<Bytes>, Error>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(context)
    }
}
