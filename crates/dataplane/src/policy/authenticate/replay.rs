//! What was seen once and must not be seen again: webhooks, nonces of signatures, `jti` of proofs. Kept over new Programs,
//! and of this process alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::error::{Error, Kind};

/// Entries of each kind. Only what was signed by a key that we know is entered, so strangers cannot fill it.
pub const MOST: usize = 262_144;
const SHARDS: usize = 32;

#[derive(Default)]
pub struct Replays {
    pub webhook: Seen,
    pub signature: Seen,
    pub dpop: Seen,
}

pub struct Seen {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries of one shard.
    most: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Sighting {
    First,
    Again,
}

/// By SHA-256, so that an entry's size is not its sender's choice.
type Name = [u8; 32];

#[derive(Default)]
struct Shard {
    known: FxHashSet<Name>,
    /// With the second from which the entry is refused for its age, the earliest first.
    ends: BinaryHeap<Reverse<(u64, Name)>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::with_room_for(MOST)
    }
}

impl Seen {
    fn with_room_for(most: usize) -> Self {
        Self { shards: Default::default(), most: most / SHARDS }
    }

    /// Enters what `parts` together name, until its age alone refuses it; times in seconds since 1970. 503 where there is
    /// no room: forgetting what is still good would let it be replayed.
    pub fn enter(&self, parts: &[&[u8]], until: u64, now: u64) -> Result<Sighting, Error> {
        let name = name(parts);
        let mut shard = self.shards[usize::from(name[0]) % SHARDS].lock();
        while let Some(Reverse((_, over))) = shard.ends.peek().filter(|Reverse((end, _))| *end <= now).copied() {
            shard.ends.pop();
            shard.known.remove(&over);
        }
        if shard.known.contains(&name) {
            return Ok(Sighting::Again);
        }
        if shard.known.len() >= self.most {
            return Err(Error::new(Kind::Overloaded, "Whether this is a replay cannot be told now")
                .cause("the replay store is full"));
        }
        shard.known.insert(name);
        shard.ends.push(Reverse((until, name)));
        Ok(Sighting::First)
    }
}

/// Each part with its length, so that no two lists are the same text.
fn name(parts: &[&[u8]]) -> Name {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut name = [0; 32];
    name.copy_from_slice(context.finish().as_ref());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_until_its_age_refuses_it() {
        let seen = Seen::default();
        assert_eq!(seen.enter(&[b"web", b"1"], 20, 10).unwrap(), Sighting::First);
        assert_eq!(seen.enter(&[b"web", b"1"], 20, 19).unwrap(), Sighting::Again);
        assert_eq!(seen.enter(&[b"we", b"b1"], 20, 19).unwrap(), Sighting::First);
        assert_eq!(seen.enter(&[b"web", b"1"], 40, 20).unwrap(), Sighting::First);
    }

    #[test]
    fn a_full_store_refuses_and_forgets_nothing_that_is_still_good() {
        let seen = Seen::with_room_for(SHARDS);
        let mut full = 0;
        for number in 0u32..200 {
            match seen.enter(&[&number.to_be_bytes()], 20, 10) {
                Ok(sighting) => assert_eq!(sighting, Sighting::First),
                Err(error) => {
                    assert_eq!(error.kind, Kind::Overloaded);
                    full += 1;
                }
            }
        }
        assert!(full >= 200 - SHARDS);
        assert_eq!(seen.enter(&[&0u32.to_be_bytes()], 20, 10).unwrap(), Sighting::Again);
        assert_eq!(seen.enter(&[b"later"], 40, 20).unwrap(), Sighting::First);
    }
}
