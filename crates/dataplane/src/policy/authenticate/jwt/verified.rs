//! Tokens that have been verified, so that a signature is paid for once and not at every request.

use std::sync::Arc;

use aws_lc_rs::digest::{digest, SHA256};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::policy::authenticate::Consumer;

/// Tokens that are remembered for a policy at most.
pub const REMEMBERED: usize = 16_384;
const SHARDS: usize = 16;

/// By the SHA-256 of the whole token: nobody can make another with the same one. Belongs to one Program, and to one
/// set of the issuer's keys, so that keys that are gone verify nothing any more.
pub struct Verified<T = Arc<Consumer>> {
    shards: [Mutex<FxHashMap<[u8; 32], Entry<T>>>; SHARDS],
}

struct Entry<T> {
    known: T,
    /// Which issuer of the policy it was, and which of its sets of keys.
    keys: (usize, u64),
    /// Seconds since 1970.
    until: f64,
}

impl<T> Default for Verified<T> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

pub type Name = [u8; 32];

pub fn name(token: &[u8]) -> Name {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, token).as_ref());
    name
}

impl<T: Clone> Verified<T> {
    /// `generation` says which set of keys an issuer has now.
    pub fn find(&self, name: &Name, now: f64, generation: impl Fn(usize) -> u64) -> Option<T> {
        let shard = self.shard(name).lock();
        let good = |entry: &&Entry<T>| now < entry.until && generation(entry.keys.0) == entry.keys.1;
        shard.get(name).filter(good).map(|entry| entry.known.clone())
    }

    pub fn remember(&self, name: Name, known: T, keys: (usize, u64), until: f64, now: f64) {
        let mut shard = self.shard(&name).lock();
        if shard.len() >= REMEMBERED / SHARDS {
            shard.retain(|_, entry| now < entry.until);
        }
        if shard.len() >= REMEMBERED / SHARDS {
            shard.clear();
        }
        shard.insert(name, Entry { known, keys, until });
    }

    fn shard(&self, name: &Name) -> &Mutex<FxHashMap<Name, Entry<T>>> {
        &self.shards[usize::from(name[0]) % SHARDS]
    }
}
