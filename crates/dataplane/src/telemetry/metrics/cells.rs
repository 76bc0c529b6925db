//! Counters that one worker writes and any thread reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Kind;
use crate::policy::cache::Use;

/// Only its worker adds, so a plain load and store is enough and costs no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// By the first digit of the status.
#[derive(Debug, Default)]
pub struct Statuses([Counter; 5]);

impl Statuses {
    pub const CLASSES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    pub fn add(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.0[class].add(1);
    }

    pub fn get(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.0[class].get())
    }

    fn merge(&self, other: &Self) {
        self.0.iter().zip(&other.0).for_each(|(one, two)| one.add(two.get()));
    }
}

/// Upper bounds in microseconds, and as they are told, in seconds.
pub const BOUNDS: [(u64, &str); 15] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

#[derive(Debug, Default)]
pub struct Histogram {
    /// Each alone, not yet cumulated; the last is what is above every bound.
    buckets: [Counter; BOUNDS.len() + 1],
    micros: Counter,
}

impl Histogram {
    pub fn add(&self, duration: Duration) {
        let micros = duration.as_micros() as u64;
        let bucket = BOUNDS.iter().position(|(bound, _)| micros <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.micros.add(micros);
    }

    pub fn get(&self) -> ([u64; BOUNDS.len() + 1], u64) {
        (std::array::from_fn(|bucket| self.buckets[bucket].get()), self.micros.get())
    }

    fn merge(&self, other: &Self) {
        self.buckets.iter().zip(&other.buckets).for_each(|(one, two)| one.add(two.get()));
        self.micros.add(other.micros.get());
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
pub struct RouteCells {
    pub statuses: Statuses,
    pub latency: Histogram,
    pub bytes_in: Counter,
    pub bytes_out: Counter,
    pub rate_limited: Counter,
    /// By `Use`, in its order.
    pub cache: [Counter; Use::ALL.len()],
}

impl RouteCells {
    /// None when no worker has counted anything.
    pub fn sum<'a>(cells: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = None;
        for cells in cells {
            let sum: &Self = sum.get_or_insert_with(Self::default);
            sum.statuses.merge(&cells.statuses);
            sum.latency.merge(&cells.latency);
            sum.bytes_in.add(cells.bytes_in.get());
            sum.bytes_out.add(cells.bytes_out.get());
            sum.rate_limited.add(cells.rate_limited.get());
            sum.cache.iter().zip(&cells.cache).for_each(|(sum, cell)| sum.add(cell.get()));
        }
        sum
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
pub struct ClusterCells {
    pub statuses: Statuses,
    pub unanswered: Counter,
    pub latency: Histogram,
    pub retries: Counter,
    pub ejections: Counter,
    pub connected: Counter,
    pub disconnected: Counter,
}

impl ClusterCells {
    /// None when no worker has counted anything.
    pub fn sum<'a>(cells: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = None;
        for cells in cells {
            let sum: &Self = sum.get_or_insert_with(Self::default);
            sum.statuses.merge(&cells.statuses);
            sum.latency.merge(&cells.latency);
            sum.unanswered.add(cells.unanswered.get());
            sum.retries.add(cells.retries.get());
            sum.ejections.add(cells.ejections.get());
            sum.connected.add(cells.connected.get());
            sum.disconnected.add(cells.disconnected.get());
        }
        sum
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerCells {
    pub accepted: Counter,
    pub closed: Counter,
    pub refused: Counter,
    pub handshakes: Counter,
    pub failed_handshakes: Counter,
    /// By `Kind`, in its order.
    pub errors: Errors,
}

#[derive(Debug)]
pub struct Errors(Box<[Counter]>);

impl Default for Errors {
    fn default() -> Self {
        Self(Kind::ALL.iter().map(|_| Counter::default()).collect())
    }
}

impl std::ops::Deref for Errors {
    type Target = [Counter];

    fn deref(&self) -> &[Counter] {
        &self.0
    }
}
