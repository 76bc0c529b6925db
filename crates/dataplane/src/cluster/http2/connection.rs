//! One connection as those see it who want a stream on it.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;

use super::pool::Pool;
use super::STREAMS;
use crate::telemetry::metrics::ClusterMetrics;

#[derive(Clone)]
pub(super) struct Gauge {
    pub(super) metrics: Arc<ClusterMetrics>,
    pub(super) worker: usize,
}

/// Closed in order when nobody holds it any more.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) pool: Weak<Pool>,
    /// Over TLS.
    pub(super) secure: bool,
    /// Streams that are lent.
    streams: Cell<usize>,
    /// What the endpoint allows at present (SETTINGS_MAX_CONCURRENT_STREAMS).
    allowed: Cell<usize>,
    /// When the number of streams last became 0 or 1.
    turned: Cell<Instant>,
    served: Cell<bool>,
    over: Cell<bool>,
    gauge: Gauge,
}

impl Connection {
    pub(super) fn new(sender: SendRequest<Bytes>, pool: &Rc<Pool>, secure: bool, gauge: Gauge) -> Rc<Self> {
        gauge.metrics.connected(gauge.worker);
        Rc::new(Self {
            allowed: Cell::new(sender.current_max_send_streams()),
            sender,
            pool: Rc::downgrade(pool),
            secure,
            streams: Cell::new(0),
            turned: Cell::new(Instant::now()),
            served: Cell::new(false),
            over: Cell::new(false),
            gauge,
        })
    }

    /// No new stream can be had: it has ended, or the endpoint has said GOAWAY.
    pub(super) fn is_leaving(&self) -> bool {
        let mut sender = self.sender.clone();
        let ready = sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        self.over.get() || !matches!(ready, Poll::Ready(Ok(())))
    }

    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.allowed.get().min(STREAMS)
    }

    /// True if there is more room than before.
    pub(super) fn set_allowed(&self, allowed: usize) -> bool {
        self.allowed.replace(allowed) < allowed
    }

    pub(super) fn end(&self) {
        self.over.set(true);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.streams.get() == 0
    }

    /// Since when it has been idle, or in use.
    pub(super) fn turned(&self) -> Instant {
        self.turned.get()
    }

    /// Whether it carried an exchange before.
    pub(super) fn take_stream(&self) -> bool {
        self.streams.set(self.streams.get() + 1);
        if self.streams.get() == 1 {
            self.turned.set(Instant::now());
        }
        self.served.replace(true)
    }

    pub(super) fn give_stream(&self) {
        self.streams.set(self.streams.get() - 1);
        if self.streams.get() == 0 {
            self.turned.set(Instant::now());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gauge.metrics.disconnected(self.gauge.worker);
        if let Some(pool) = self.pool.upgrade() {
            pool.closed();
        }
    }
}
