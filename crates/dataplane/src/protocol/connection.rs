//! What all exchanges of one downstream connection share, whatever protocol it speaks.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use tokio::sync::Notify;

use crate::forwarded::Peer;
use crate::listener::Listener;
use crate::transport::tls;

pub struct Connection {
    pub peer: SocketAddr,
    pub sender: Peer,
    /// Its settings when the connection was accepted.
    pub listener: Arc<Listener>,
    /// `http`, or `https` over TLS.
    pub scheme: &'static str,
    /// What the handshake has shown; empty without TLS.
    tls: OnceCell<tls::Facts>,
    waker: RefCell<Option<Waker>>,
    /// Set while it drains: when the last of it must have been said.
    draining: Cell<Option<Instant>>,
    drained: Notify,
}

impl Connection {
    pub fn new(peer: SocketAddr, listener: Arc<Listener>, scheme: &'static str) -> Rc<Self> {
        Rc::new(Self {
            peer,
            sender: Peer::new(peer),
            listener,
            scheme,
            tls: OnceCell::new(),
            waker: RefCell::default(),
            draining: Cell::new(None),
            drained: Notify::new(),
        })
    }

    /// The handshake is over.
    pub(crate) fn secured(&self, facts: tls::Facts) {
        // There is one handshake.
        let _first = self.tls.set(facts);
    }

    pub fn tls(&self) -> Option<&tls::Facts> {
        self.tls.get()
    }

    /// Asks the connection to end after the exchanges at hand, at once if there is none, and tunnels at this time at the
    /// latest.
    pub fn drain(&self, latest: Instant) {
        self.draining.set(Some(latest));
        self.drained.notify_waiters();
        self.wake();
    }

    /// The driver has something to write.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Ready when `drain` has been called, with its time.
    pub(super) async fn drained(&self) -> Instant {
        loop {
            if let Some(latest) = self.draining.get() {
                return latest;
            }
            self.drained.notified().await;
        }
    }

    /// To be called whenever the connection's driver is polled: `drain` and `wake` wake it.
    pub fn watch(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }
}
