//! How far a request's body has come, for those who measure its time.

use std::cell::Cell;
use std::time::Instant;

pub(in crate::cluster) struct Progress {
    moved: Cell<Instant>,
    over: Cell<bool>,
}

impl Progress {
    pub(super) fn new(over: bool) -> Self {
        Self { moved: Cell::new(Instant::now()), over: Cell::new(over) }
    }

    /// A piece has been handed over.
    pub(super) fn moved(&self) {
        self.moved.set(Instant::now());
    }

    /// The last byte has been handed over, or nobody wants the rest.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.moved();
    }

    pub(in crate::cluster) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// When it last came forward, its end included.
    pub(in crate::cluster) fn last(&self) -> Instant {
        self.moved.get()
    }
}
