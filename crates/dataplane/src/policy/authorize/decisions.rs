//! Decisions of others that are kept for a while, by all that they were made on.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

/// Decisions that are kept for a policy at most; more begin anew.
pub const CACHED: usize = 10_000;

/// The SHA-256 of a whole question.
pub type Key = [u8; 32];

pub fn key(question: &[u8]) -> Key {
    Sha256::digest(question).into()
}

pub struct Decisions<D> {
    /// Zero: none are kept.
    keep: Duration,
    /// Each with the time until which it holds.
    made: Mutex<FxHashMap<Key, (D, Instant)>>,
}

impl<D: Clone> Decisions<D> {
    pub fn new(keep: Duration) -> Self {
        Self { keep, made: Mutex::default() }
    }

    pub fn find(&self, key: &Key) -> Option<D> {
        if self.keep.is_zero() {
            return None;
        }
        let made = self.made.lock();
        made.get(key).filter(|(_, until)| Instant::now() < *until).map(|(decision, _)| decision.clone())
    }

    pub fn keep(&self, key: Key, decision: D) {
        if self.keep.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut made = self.made.lock();
        if made.len() >= CACHED {
            made.retain(|_, (_, until)| now < *until);
        }
        if made.len() >= CACHED {
            made.clear();
        }
        made.insert(key, (decision, now + self.keep));
    }
}
