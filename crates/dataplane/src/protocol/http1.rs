//! One HTTP/1.1 connection from its accept to its end: hyper behind the guard, and what hyper leaves to us — a client
//! that goes away, interim responses, drain, and an end that lets the last answer arrive.

use std::convert::Infallible;
use std::future::{poll_fn, Future};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use tokio::io::{AsyncRead, ReadBuf};

use super::body::Body;
use super::connection::Connection;
use super::guard::Guard;
use super::link::Link;
use super::request_body::RequestBody;
use super::wire::{Presence, Wire};
use crate::proxy;
use crate::snapshot::ListenerLimits;
use crate::telemetry::recording::Recorded;
use crate::transport::Stream;
use crate::worker::Worker;

/// How much of what a client still sends is read after our last answer, and for how long: closing with unread bytes
/// would reset the connection and could take the answer with it (RFC 9112 §9.6).
const LINGER_BYTES: usize = 256 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// hyper's own bounds lie above those of the guard, which has judged everything that hyper reads.
fn builder(limits: &ListenerLimits) -> Builder {
    let mut builder = Builder::new();
    builder
        .half_close(true)
        .max_headers(limits.header_count + 1)
        .max_buf_size((limits.head_bytes + 4096).max(64 * 1024));
    builder
}

pub async fn serve(worker: Rc<Worker>, downstream: Rc<Connection>, stream: Stream) {
    let limits = &downstream.listener.limits;
    let wire = Wire::new(stream, Link::new(downstream.clone()));
    let service = {
        let wire = wire.clone();
        service_fn(move |request: Request<Incoming>| exchange(worker.clone(), wire.clone(), request))
    };
    let connection = builder(limits).serve_connection(Guard::new(wire.clone()), service);
    let mut connection = pin!(connection);
    let mut presence = Presence::new(Duration::from_millis(limits.half_close_ms));
    let mut told = false;
    let orderly = poll_fn(|context| {
        downstream.watch(context);
        if downstream.is_draining() && !told {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(context) {
            return Poll::Ready(result.is_ok());
        }
        if matches!(wire.poll_interim(context), Poll::Ready(Err(_))) {
            return Poll::Ready(false);
        }
        if wire.is_overdue() {
            return Poll::Ready(false);
        }
        presence.poll_gone(&wire, context).map(|()| false)
    })
    .await;
    if orderly && !wire.ended.get() {
        Box::pin(linger(&wire)).await;
    }
}

async fn exchange(
    worker: Rc<Worker>,
    wire: Rc<Wire>,
    request: Request<Incoming>,
) -> Result<Response<Recorded>, Infallible> {
    let refusal = wire.begin();
    let link = wire.link.clone();
    let (head, incoming) = request.into_parts();
    let body = match hyper::body::Body::is_end_stream(&incoming) {
        true => Body::empty(),
        false => Body::request(RequestBody::new(incoming, wire.clone(), head.headers.contains_key(EXPECT))),
    };
    let request = Request::from_parts(head, body);
    let handling = Unwinding { future: proxy::handle(worker, link.clone(), request, refusal) };
    let mut response = handling.await.unwrap_or_else(|_panic| proxy::panicked(link.clone()));
    if link.is_closing() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    wire.answer_started();
    Ok(response)
}

pin_project_lite::pin_project! {
    /// A panic ends its exchange and nothing else.
    struct Unwinding<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unwinding<F> {
    type Output = Result<F::Output, Box<dyn std::any::Any + Send>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

async fn linger(wire: &Wire) {
    let drained = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            let mut scratch = [0; 4096];
            let mut buffer = ReadBuf::new(&mut scratch);
            let read =
                poll_fn(|context| Pin::new(&mut *wire.stream.borrow_mut()).poll_read(context, &mut buffer)).await;
            if read.is_err() || buffer.filled().is_empty() {
                return;
            }
            left = left.saturating_sub(buffer.filled().len());
        }
    };
    let _ended = tokio::time::timeout(LINGER, drained).await;
}
