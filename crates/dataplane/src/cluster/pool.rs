//! Kept connections of one worker to one endpoint. A connection comes back only after both bodies of its last exchange
//! have ended and is looked at before it is lent again; waiting for a free one is first come, first served.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::connect::{self, ConnectError, Opening};
use super::endpoint::Endpoint;
use super::http1::Wire;
use crate::snapshot::Pool as Bounds;
use crate::telemetry::metrics::ClusterMetrics;
use crate::transport::proxy_protocol::Introduction;

/// An endpoint's end of a kept connection is noticed within this time, if not by a request before.
const LOOK: Duration = Duration::from_secs(5);
/// Connections that are being made at once. An endpoint whose queue of new connections is short would drop the rest of a
/// burst; whoever waits meanwhile may get one that another exchange gives back.
const OPENING: usize = 8;

pub(super) struct Pool {
    bounds: RefCell<Bounds>,
    version: Cell<u64>,
    gauge: Gauge,
    /// The connection used last is used next, so that surplus ones time out.
    // Lent and given back in its box, whose move costs less than that of the whole.
    #[allow(clippy::vec_box)]
    idle: RefCell<Vec<Box<Connection>>>,
    open: Cell<usize>,
    /// How many of those are only being made.
    opening: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<Grant>>>,
    /// Its endpoint has left the configuration: nothing is kept any more.
    retired: Cell<bool>,
    sweeping: Cell<bool>,
    /// This worker's place in the cluster's round robin.
    pub(super) turn: Cell<i64>,
}

enum Grant {
    Connection(Box<Connection>),
    Slot(Slot),
    /// No connection can be made, and there is none that could be given back.
    Failed(Rc<ConnectError>),
}

/// The right to have one connection open; goes to the next in line when dropped.
struct Slot {
    pool: Weak<Pool>,
    /// It is yet to be made.
    opening: bool,
}

impl Slot {
    /// The connection stands, or another one may be made in its place.
    fn opened(&mut self) {
        if let Some(pool) = self.pool.upgrade().filter(|_| std::mem::take(&mut self.opening)) {
            pool.opening.set(pool.opening.get() - 1);
            pool.serve_waiting();
        }
    }

    /// Gives it back by hand.
    fn forget(mut self) {
        if let Some(pool) = std::mem::take(&mut self.pool).upgrade() {
            pool.open.set(pool.open.get() - 1);
            pool.opening.set(pool.opening.get() - usize::from(self.opening));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.open.set(pool.open.get() - 1);
            pool.opening.set(pool.opening.get() - usize::from(self.opening));
            pool.serve_waiting();
        }
    }
}

#[derive(Clone)]
struct Gauge {
    metrics: Arc<ClusterMetrics>,
    worker: usize,
}

/// An open connection; closed when dropped. In a box wherever it goes, since it goes from hand to hand.
pub(super) struct Connection {
    pub(super) wire: Wire,
    slot: Slot,
    gauge: Gauge,
    idle_since: Instant,
    /// It has served an exchange before.
    pub(super) reused: bool,
    /// What was said on it first; it serves nobody else.
    introduction: Option<Introduction>,
    /// It must not serve another one.
    pub(super) single: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gauge.metrics.disconnected(self.gauge.worker);
    }
}

/// What an attempt asks of a connection.
pub(super) struct Wanted<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// For making it.
    pub(super) limit: Duration,
    /// A new one in any case.
    pub(super) fresh: bool,
    pub(super) introduction: Option<Introduction>,
}

impl Connection {
    /// Asks the kernel at every use, though it costs a system call: by the runtime's last look an answer that nobody asked
    /// for may not have come, and the next request would get it.
    fn serves(&self, introduction: Option<Introduction>) -> bool {
        self.introduction == introduction && self.wire.is_quiet()
    }

    /// Both bodies have ended: back to the pool that it came from, unless anything about it is doubtful.
    pub(super) fn release(self: Box<Self>) {
        if let Some(pool) = self.slot.pool.upgrade().filter(|_| !self.single && self.wire.is_clean()) {
            pool.keep(self);
        }
    }
}

impl Pool {
    pub(super) fn new(bounds: &Bounds, metrics: Arc<ClusterMetrics>, worker: usize) -> Rc<Self> {
        Rc::new(Self {
            bounds: RefCell::new(bounds.clone()),
            gauge: Gauge { metrics, worker },
            version: Cell::new(0),
            idle: RefCell::default(),
            open: Cell::new(0),
            opening: Cell::new(0),
            waiting: RefCell::default(),
            retired: Cell::new(false),
            sweeping: Cell::new(false),
            turn: Cell::new(0),
        })
    }

    /// `version` of the cluster that asks: an exchange that began under an older Program changes nothing.
    pub(super) fn set_bounds(&self, bounds: &Bounds, version: u64) {
        if version < self.version.get() {
            return;
        }
        self.version.set(version);
        if *self.bounds.borrow() != *bounds {
            self.bounds.replace(bounds.clone());
        }
        self.retired.set(false);
    }

    /// Closes what is idle and keeps nothing from now on. Exchanges under way are not disturbed.
    pub(super) fn retire(&self) {
        self.retired.set(true);
        let idle = self.idle.take();
        drop(idle);
    }

    /// A kept connection, or a new one. Waits its turn when all that may be open are in use; the caller bounds the time
    /// by dropping the future.
    pub(super) async fn acquire(self: &Rc<Self>, wanted: Wanted<'_>) -> Result<Box<Connection>, Rc<ConnectError>> {
        if !wanted.fresh {
            if let Some(connection) = self.take_idle(wanted.introduction) {
                return Ok(connection);
            }
        }
        // In a box: whoever gets a kept one must not be as large as all that making one takes.
        Box::pin(self.make(wanted)).await
    }

    async fn make(self: &Rc<Self>, wanted: Wanted<'_>) -> Result<Box<Connection>, Rc<ConnectError>> {
        let Wanted { endpoint, limit, fresh, introduction } = wanted;
        // An idle connection that is another client's goes rather than keeping this one waiting.
        let mut slot = match self.slot(fresh || introduction.is_some()) {
            Some(slot) => slot,
            None => match self.wait().await {
                Grant::Connection(connection) if !fresh && connection.serves(introduction) => return Ok(connection),
                Grant::Connection(connection) => connection.into_slot(),
                Grant::Slot(slot) => slot,
                Grant::Failed(error) => return Err(error),
            },
        };
        let opening = Opening { introduction, tls: endpoint.tls.as_ref(), ..Opening::default() };
        let stream = match connect::connect(&endpoint.address, opening, limit).await {
            Ok(stream) => stream,
            Err(error) => return Err(self.failed(error, slot)),
        };
        slot.opened();
        let gauge = self.gauge.clone();
        gauge.metrics.connected(gauge.worker);
        Ok(Box::new(Connection {
            wire: Wire::new(stream),
            slot,
            gauge,
            idle_since: Instant::now(),
            reused: false,
            introduction,
            single: false,
        }))
    }

    fn take_idle(&self, introduction: Option<Introduction>) -> Option<Box<Connection>> {
        loop {
            let mut idle = self.idle.borrow_mut();
            let last = idle.iter().rposition(|connection| connection.introduction == introduction)?;
            let connection = idle.remove(last);
            drop(idle);
            if connection.serves(introduction) {
                return Some(connection);
            }
        }
    }

    fn slot(self: &Rc<Self>, fresh: bool) -> Option<Slot> {
        if self.open.get() >= self.bounds.borrow().connections && fresh {
            let idle = self.idle.borrow_mut().pop();
            drop(idle);
        }
        if self.open.get() >= self.bounds.borrow().connections || self.opening.get() >= OPENING {
            return None;
        }
        self.open.set(self.open.get() + 1);
        self.opening.set(self.opening.get() + 1);
        Some(Slot { pool: Rc::downgrade(self), opening: true })
    }

    /// Whoever waits for nothing but such a connection does not wait to learn the same, one after another.
    fn failed(&self, error: ConnectError, slot: Slot) -> Rc<ConnectError> {
        let error = Rc::new(error);
        if self.open.get() == self.opening.get() {
            for waiting in self.waiting.take() {
                let _gone = waiting.send(Grant::Failed(error.clone()));
            }
        }
        drop(slot);
        error
    }

    async fn wait(&self) -> Grant {
        loop {
            let (sender, receiver) = oneshot::channel();
            self.waiting.borrow_mut().push_back(sender);
            if let Ok(grant) = receiver.await {
                return grant;
            }
        }
    }

    /// Gives slots that have become free to those who wait.
    fn serve_waiting(self: &Rc<Self>) {
        loop {
            let Some(next) = self.next_waiting() else {
                return;
            };
            let Some(slot) = self.slot(false) else {
                self.waiting.borrow_mut().push_front(next);
                return;
            };
            if let Err(Grant::Slot(slot)) = next.send(Grant::Slot(slot)) {
                // Whoever waited has gone. Dropping it would come back here.
                slot.forget();
            }
        }
    }

    fn next_waiting(&self) -> Option<oneshot::Sender<Grant>> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(next) = waiting.pop_front() {
            if !next.is_closed() {
                return Some(next);
            }
        }
        None
    }

    fn keep(self: &Rc<Self>, mut connection: Box<Connection>) {
        connection.reused = true;
        while let Some(next) = self.next_waiting() {
            match next.send(Grant::Connection(connection)) {
                Ok(()) => return,
                Err(Grant::Connection(back)) => connection = back,
                Err(Grant::Slot(_) | Grant::Failed(_)) => return,
            }
        }
        if self.retired.get() || self.idle.borrow().len() >= self.bounds.borrow().idle {
            return;
        }
        connection.wire.release_memory();
        connection.idle_since = Instant::now();
        self.idle.borrow_mut().push(connection);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    /// Drops what has been idle for too long or was closed; the time until the next look, None when nothing is idle.
    fn expire(&self) -> Option<Duration> {
        let limit = Duration::from_millis(self.bounds.borrow().idle_ms);
        let now = Instant::now();
        let mut gone = Vec::new();
        let mut idle = self.idle.borrow_mut();
        let mut index = 0;
        let mut oldest = now;
        while index < idle.len() {
            let connection = &idle[index];
            if !connection.wire.is_quiet() || now.saturating_duration_since(connection.idle_since) >= limit {
                gone.push(idle.remove(index));
            } else {
                oldest = oldest.min(connection.idle_since);
                index += 1;
            }
        }
        let empty = idle.is_empty();
        drop(idle);
        drop(gone);
        (!empty).then(|| (oldest + limit).saturating_duration_since(now).clamp(Duration::from_millis(10), LOOK))
    }
}

impl Connection {
    /// Closes the connection and keeps its place.
    #[allow(clippy::boxed_local)]
    fn into_slot(mut self: Box<Self>) -> Slot {
        let mut slot = std::mem::replace(&mut self.slot, Slot { pool: Weak::new(), opening: false });
        if let Some(pool) = slot.pool.upgrade().filter(|_| !std::mem::replace(&mut slot.opening, true)) {
            pool.opening.set(pool.opening.get() + 1);
        }
        slot
    }
}

/// One task for each pool that has idle connections, and one timer for all of them.
async fn sweep(pool: Weak<Pool>) {
    loop {
        let Some(pause) = pool.upgrade().and_then(|pool| {
            let pause = pool.expire();
            pool.sweeping.set(pause.is_some());
            pause
        }) else {
            return;
        };
        tokio::time::sleep(pause).await;
    }
}
