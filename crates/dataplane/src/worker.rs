//! One thread of the data plane: its runtime's tasks share what is in here and never leave the thread.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Cache};
use tokio::sync::Semaphore;

use crate::callout::Pending;
use crate::cluster::Pools;
use crate::program::Program;
use crate::protocol::connection::Connection;
use crate::shared::Shared;

/// Long evaluations of one worker at once, each on a thread of its own.
const EVALUATIONS: usize = 2;

pub struct Worker {
    /// From 0; names the worker's own cells in metrics and log sinks.
    pub index: usize,
    pub shared: Arc<Shared>,
    pub pools: Rc<Pools>,
    /// Callouts and calls under way between this worker and the control plane.
    pub pending: Pending,
    /// For expressions that take long: at most so many of a worker's are evaluated at once, and others wait.
    pub evaluations: Arc<Semaphore>,
    program: RefCell<Cache<Arc<ArcSwap<Program>>, Arc<Program>>>,
    connections: RefCell<Vec<Weak<Connection>>>,
    /// Connections that are open.
    open: Cell<usize>,
    /// Set while it drains: when tunnels must have ended.
    draining: Cell<Option<Instant>>,
}

impl Worker {
    pub fn new(index: usize, shared: Arc<Shared>, program: Arc<ArcSwap<Program>>) -> Rc<Self> {
        Rc::new(Self {
            index,
            pools: Pools::new(index),
            pending: Pending::default(),
            evaluations: Arc::new(Semaphore::new(EVALUATIONS)),
            shared,
            program: RefCell::new(Cache::new(program)),
            connections: RefCell::default(),
            open: Cell::new(0),
            draining: Cell::new(None),
        })
    }

    /// The Program of this moment: one atomic load, and a reference that stays until the exchange is over.
    pub fn program(&self) -> Arc<Program> {
        self.program.borrow_mut().load().clone()
    }

    pub fn open(&self) -> usize {
        self.open.get()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Holds a connection's place among the worker's until it is dropped.
    pub(crate) fn admit(self: &Rc<Self>, connection: &Rc<Connection>) -> Admitted {
        let mut connections = self.connections.borrow_mut();
        // Amortised: the list is swept when it has doubled since the last sweep.
        if connections.len() >= 64 && connections.len() >= 2 * self.open.get() {
            connections.retain(|connection| connection.strong_count() > 0);
        }
        connections.push(Rc::downgrade(connection));
        self.open.set(self.open.get() + 1);
        self.shared.metrics.accepted(self.index);
        if let Some(latest) = self.draining.get() {
            connection.drain(latest);
        }
        Admitted { worker: self.clone() }
    }

    /// Every connection ends after its exchanges at hand, tunnels at this time at the latest.
    pub fn drain(&self, latest: Instant) {
        self.draining.set(Some(latest));
        let connections: Vec<_> = self.connections.borrow().iter().filter_map(Weak::upgrade).collect();
        for connection in connections {
            connection.drain(latest);
        }
        self.pools.close_idle();
    }
}

pub(crate) struct Admitted {
    worker: Rc<Worker>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.worker.open.set(self.worker.open.get() - 1);
        self.worker.shared.metrics.closed(self.worker.index);
    }
}
