//! HTTP/2 downstream (RFC 9113): one connection from its preface to its end. The `h2` crate knows frames, flow control
//! and HPACK; `head` what a request must be, `request_body` and `exchange` how a stream becomes an exchange, `flood` what
//! a client may not do too often.

mod exchange;
mod flood;
mod head;
mod request_body;
mod tunnel;

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection as Frames};
use h2::Reason;
use tokio::time::{sleep, timeout, Instant, Sleep};

use super::connection::Connection;
use crate::transport::{Stream, LINGER};
use crate::worker::Worker;
use flood::Watched;

/// How HTTP/2 connections begin (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Content that a client may send ahead of whoever reads it: of one stream, and of all streams of a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Content of one response that waits for the client's window.
const SEND_BUFFER: usize = 256 * 1024;

/// Streams that a client may reset before they were looked at (CVE-2023-44487); one more ends the connection.
const PENDING_RESETS: usize = 20;
/// Streams that we reset for a client's errors; one more ends the connection.
const ERROR_RESETS: usize = 256;

/// Streams that are open.
type Active = Rc<Cell<usize>>;

/// Serves a connection that speaks HTTP/2 until its client or the worker ends it.
pub async fn serve(worker: Rc<Worker>, connection: Rc<Connection>, stream: Stream) {
    let limits = &connection.listener.limits;
    let (stream, flood) = Watched::new(stream);
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(connection.listener.max_streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS))
        // Whether a WebSocket is opened is its route's matter (RFC 8441 §3).
        .enable_connect_protocol();
    let first = Duration::from_millis(limits.head_read_ms);
    let Ok(Ok(frames)) = Box::pin(timeout(first, builder.handshake(stream))).await else {
        return;
    };
    let mut driver = Driver {
        idle: Idle { limit: Duration::from_millis(limits.idle_ms), timer: Box::pin(sleep(first)) },
        worker,
        connection,
        frames,
        flood,
        active: Active::default(),
        told: false,
        calmed: false,
    };
    poll_fn(|context| driver.poll(context)).await;
}

struct Driver {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    frames: Frames<Watched, Bytes>,
    flood: Rc<flood::Flood>,
    active: Active,
    idle: Idle,
    /// The client has been told to go.
    told: bool,
    /// It has done something too often: what is open is broken off.
    calmed: bool,
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.watch(context);
        if self.connection.is_draining() && !self.told {
            self.leave();
        }
        loop {
            match self.frames.poll_accept(context) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.idle.touch();
                    let running = Running::new(&self.active);
                    let exchange =
                        exchange::run(self.worker.clone(), self.connection.clone(), request, respond, running);
                    tokio::task::spawn_local(exchange);
                }
                // What has to be said, GOAWAY at last, has been written by then.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if self.flood.is_over() && !self.calmed {
            self.calmed = true;
            self.told = true;
            self.frames.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.idle.limit = LINGER;
            self.idle.touch();
            context.waker().wake_by_ref();
        }
        if self.calmed {
            return self.idle.poll(context);
        }
        if self.active.get() > 0 {
            self.idle.touch();
            return Poll::Pending;
        }
        match self.idle.poll(context) {
            Poll::Ready(()) if self.told => Poll::Ready(()),
            Poll::Ready(()) => {
                self.leave();
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// GOAWAY: the streams at hand are finished, and no new one is taken.
    fn leave(&mut self) {
        self.told = true;
        self.frames.graceful_shutdown();
        self.idle.limit = LINGER;
        self.idle.touch();
    }
}

/// One stream's place among the open ones.
struct Running(Active);

impl Running {
    fn new(active: &Active) -> Self {
        active.set(active.get() + 1);
        Self(active.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The time without a stream. The timer is set anew only when it rings too early.
struct Idle {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn touch(&mut self) {
        let until = Instant::now() + self.limit;
        if self.timer.deadline() + Duration::from_millis(100) < until || self.timer.deadline() > until {
            self.timer.as_mut().reset(until);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(context)
    }
}
