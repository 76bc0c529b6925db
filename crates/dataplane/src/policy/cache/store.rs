//! The stored responses of all routes: shards by URL, each with a lock that is held for a look-up, never while anybody
//! waits. The bound in bytes is one for all shards.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use super::admission::Rank;
use super::collapse::{Flight, Lead};
use super::entry::Entry;
use super::groups::{Groups, Standing};
use super::key::{Primary, Url};
use super::shard::Shard;
use super::vary::{self, Normal};
use crate::snapshot::CacheQuery;

const SHARDS: usize = 32;
/// Kept beside each entry: its slot, its places in two maps and in a queue.
const PLACE_BYTES: usize = 320;
/// Keys of which it is known that their answers cannot be shared, in each shard, and for how long.
const UNSHARED: usize = 4096;
const UNSHARED_FOR: Duration = Duration::from_secs(30);
/// Query rules of configurations so far.
const RULES: usize = 256;

/// What one fetch is for: a key, and the values of what is known to tell its responses apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lane {
    pub url: Arc<Url>,
    pub primary: Arc<Primary>,
    pub values: Box<[(HeaderName, Normal)]>,
    /// Requests whose answers are most likely for one alone do not hold up the others.
    pub personal: bool,
    /// A fetch that nobody joins has a number of its own.
    pub alone: Option<u64>,
}

/// What is stored for a key.
#[derive(Default)]
pub struct Found {
    pub entry: Option<Arc<Entry>>,
    /// What `Vary` of the stored responses names, all together.
    pub names: Vec<HeaderName>,
    /// Something is stored, if not for these values.
    pub any: bool,
}

/// Whether there is one fetch already.
pub enum Joined {
    Lead(Lead),
    Follow(Arc<Flight>),
    /// The last answer was for one alone.
    Alone,
}

pub struct Store {
    hasher: RandomState,
    pub(super) shards: [Mutex<Shard>; SHARDS],
    pub groups: Groups,
    limit: AtomicUsize,
    bytes: AtomicUsize,
    /// Whose turn it is to give way.
    turn: AtomicUsize,
    number: AtomicU64,
    evicted: AtomicU64,
    /// How routes make keys of queries: a URL is invalidated under every one of them.
    pub(super) rules: Mutex<Arc<[CacheQuery]>>,
}

/// What a `Vary` names, and the values of a request.
type Selected = (Arc<[HeaderName]>, Box<[Normal]>);

/// What the store holds, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    pub entries: u64,
    pub bytes: u64,
    pub limit: u64,
    pub evicted: u64,
}

impl Level {
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [("entries", self.entries), ("bytes", self.bytes), ("limit", self.limit), ("evicted", self.evicted)]
    }
}

impl Store {
    pub fn new(limit: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            groups: Groups::default(),
            limit: AtomicUsize::new(limit),
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            rules: Mutex::new([CacheQuery::All].into()),
        }
    }

    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.shrink();
    }

    /// A route makes its keys so.
    pub fn learn(&self, rule: &CacheQuery) {
        let mut rules = self.rules.lock();
        if !rules.contains(rule) && rules.len() < RULES {
            *rules = rules.iter().chain([rule]).cloned().collect();
        }
    }

    pub(super) fn shard(&self, url: &Url) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(url) as usize % SHARDS]
    }

    pub fn look_up(&self, url: &Arc<Url>, primary: &Arc<Primary>, headers: &HeaderMap) -> Found {
        let mut found = Found::default();
        let mut shard = self.shard(url).lock();
        let Some(variants) = shard.urls.get(url).and_then(|primaries| primaries.get(primary)) else { return found };
        found.any = true;
        let mut hit = None;
        let mut selected: Option<Selected> = None;
        for index in variants {
            let Some(Some(slot)) = shard.slots.get(*index) else { continue };
            let head = &slot.entry.head;
            if selected.as_ref().is_none_or(|(names, _)| *names != head.names) {
                found
                    .names
                    .extend(head.names.iter().filter(|name| !found.names.contains(name)).cloned().collect::<Vec<_>>());
                selected = Some((head.names.clone(), vary::select(headers, &head.names)));
            }
            if hit.is_none() && selected.as_ref().is_some_and(|(_, values)| *values == head.values) {
                hit = Some(*index);
            }
        }
        let Some(slot) = hit.and_then(|index| shard.slots.get_mut(index)).and_then(Option::as_mut) else {
            return found;
        };
        slot.rank.used();
        let entry = slot.entry.clone();
        drop(shard);
        match self.groups.standing(url, &entry.head.groups, entry.head.epoch) {
            Standing::Gone => return found,
            Standing::Stale => entry.soften(),
            Standing::Good => {}
        }
        found.entry = Some(entry);
        found
    }

    /// Joins the fetch of that lane, or begins it.
    pub fn join(&self, lane: &Lane) -> Joined {
        let mut shard = self.shard(&lane.url).lock();
        if let Some(flight) = shard.flights.get(lane) {
            return Joined::Follow(flight.clone());
        }
        let name = self.hasher.hash_one(lane);
        match shard.unshared.get(&name) {
            Some(until) if *until > Instant::now() => return Joined::Alone,
            Some(_) => drop(shard.unshared.remove(&name)),
            None => {}
        }
        // Amortised: fetches that nobody leads or follows any more are swept out when they may have doubled.
        if shard.flights.len() >= shard.sweep_at.max(64) {
            shard.flights.retain(|_, flight| Arc::strong_count(flight) > 1);
            shard.sweep_at = 2 * shard.flights.len();
        }
        let flight = Arc::<Flight>::default();
        shard.flights.insert(lane.clone(), flight.clone());
        Joined::Lead(Lead::new(flight))
    }

    /// A fetch of its own, that nobody joins.
    pub fn alone(&self, mut lane: Lane) -> (Lead, Lane) {
        lane.alone = Some(self.number.fetch_add(1, Ordering::Relaxed));
        let flight = Arc::<Flight>::default();
        self.shard(&lane.url).lock().flights.insert(lane.clone(), flight.clone());
        (Lead::new(flight), lane)
    }

    /// Nobody joins that fetch any more.
    pub fn close(&self, lane: &Lane, flight: &Arc<Flight>) {
        let mut shard = self.shard(&lane.url).lock();
        if shard.flights.get(lane).is_some_and(|open| Arc::ptr_eq(open, flight)) {
            shard.flights.remove(lane);
        }
    }

    /// Answers to it are for one alone, for a while.
    pub fn do_not_share(&self, lane: &Lane) {
        let mut shard = self.shard(&lane.url).lock();
        if shard.unshared.len() >= UNSHARED {
            shard.unshared.clear();
        }
        let name = self.hasher.hash_one(Lane { alone: None, ..lane.clone() });
        shard.unshared.insert(name, Instant::now() + UNSHARED_FOR);
    }

    /// An answer to it is for all after all.
    pub fn share(&self, lane: &Lane) {
        if lane.alone.is_some() {
            let name = self.hasher.hash_one(Lane { alone: None, ..lane.clone() });
            self.shard(&lane.url).lock().unshared.remove(&name);
        }
    }

    /// Keeps it, in place of an older one for the same values; at most `most` variants of a key, the newest. Not, where
    /// something like it was invalidated while it was fetched.
    pub fn put(&self, lane: &Lane, flight: Option<&Arc<Flight>>, entry: Arc<Entry>, most: usize) {
        let Lane { url, primary, .. } = lane;
        let bytes = entry.bytes() + url.bytes() + primary.bytes() + PLACE_BYTES;
        if bytes > self.limit.load(Ordering::Relaxed) {
            return;
        }
        let name = self.hasher.hash_one((url, primary, &entry.head.values));
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        {
            let mut shard = self.shard(url).lock();
            if flight.is_some_and(|flight| flight.is_doomed()) {
                return;
            }
            let before = shard.queues.bytes();
            shard.put(url, primary, entry, Rank { bytes, name, ..Rank::default() }, number, most);
            self.count(before, shard.queues.bytes());
        }
        self.shrink();
    }

    pub(super) fn count(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// One after another the shards give something up, until all is within the bound.
    fn shrink(&self) {
        let mut empty = 0;
        while self.bytes.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed) && empty < SHARDS {
            let mut shard = self.shards[self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS].lock();
            let before = shard.queues.bytes();
            match shard.evict() {
                true => {
                    empty = 0;
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                false => empty += 1,
            }
            self.count(before, shard.queues.bytes());
        }
    }

    pub fn level(&self) -> Level {
        let entries = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            (shard.slots.len() - shard.free.len()) as u64
        };
        Level {
            entries: self.shards.iter().map(entries).sum(),
            bytes: self.bytes.load(Ordering::Relaxed) as u64,
            limit: self.limit.load(Ordering::Relaxed) as u64,
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }
}
