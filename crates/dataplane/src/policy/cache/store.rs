//! The stored responses of all routes: shards by URL, each with a lock that is held for a look-up, never while anybody
//! waits. The bound in bytes is one for all shards.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use super::admission::Rank;
use super::collapse::{Flight, Lead};
use super::disk::{self, disk_bytes, Tier};
use super::entry::Entry;
use super::groups::{Groups, Standing};
use super::key::{Primary, Url};
use super::shard::{Place, Shard, Slot, Weight};
use super::vary::{self, Normal};
use crate::callout::CalloutPort;
use crate::snapshot::CacheQuery;

const SHARDS: usize = 32;
/// Kept beside each entry: its slot, its places in two maps and in a queue.
const PLACE_BYTES: usize = 320;
/// Keys of which it is known that their answers cannot be shared, in each shard, and for how long.
const UNSHARED: usize = 4096;
const UNSHARED_FOR: Duration = Duration::from_secs(30);
/// Of a key, where its route's bound is not known.
const VARIANTS: usize = 256;
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
    /// For what goes on without a request.
    pub(super) me: Weak<Store>,
    hasher: RandomState,
    pub(super) shards: [Mutex<Shard>; SHARDS],
    pub groups: Groups,
    pub tier: Tier,
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
    pub disk: disk::Level,
}

impl Level {
    pub fn named(&self) -> [(&'static str, u64); 12] {
        let disk = &self.disk;
        [
            ("entries", self.entries),
            ("bytes", self.bytes),
            ("limit", self.limit),
            ("evicted", self.evicted),
            ("disk_entries", disk.entries),
            ("disk_bytes", disk.bytes),
            ("disk_limit", disk.limit),
            ("disk_evicted", disk.evicted),
            ("disk_up", u64::from(disk.up)),
            ("disk_failures", disk.failures),
            ("disk_damaged", disk.damaged),
            ("disk_refused", disk.refused),
        ]
    }
}

impl Store {
    pub fn new(limit: usize, callouts: Arc<CalloutPort>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            hasher: RandomState::new(),
            shards: Default::default(),
            groups: Groups::default(),
            tier: Tier::new(callouts),
            limit: AtomicUsize::new(limit),
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            rules: Mutex::new([CacheQuery::All].into()),
        })
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
        &self.shards[url.part(SHARDS)]
    }

    pub fn look_up(&self, url: &Arc<Url>, primary: &Arc<Primary>, headers: &HeaderMap) -> Found {
        let mut found = Found::default();
        let mut shard = self.shard(url).lock();
        let Some(variants) = shard.urls.get(url).and_then(|primaries| primaries.get(primary)) else { return found };
        found.any = true;
        let several = variants.len() > 1;
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
        if let Some(index) = hit.filter(|_| entry.content.kept().is_some_and(|kept| kept.is_lost())) {
            let before = shard.weight();
            shard.remove(index);
            self.count(before, shard.weight());
            return found;
        }
        drop(shard);
        match self.standing(url, &entry) {
            Standing::Gone => {
                found.any = several;
                return found;
            }
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
        let Some(slot) = self.slot(&lane.url, &lane.primary, entry) else { return };
        {
            let mut shard = self.shard(&lane.url).lock();
            // What was invalidated while it came in may not be remembered after a restart.
            let gone = || self.standing(&lane.url, &slot.entry) == Standing::Gone;
            let kept = slot.entry.content.kept().cloned();
            if flight.is_some_and(|flight| flight.is_doomed()) || (kept.is_some() && gone()) {
                slot.entry.content.retire(None);
                return;
            }
            let (before, entry) = (shard.weight(), slot.entry.clone());
            shard.put(slot, most);
            self.count(before, shard.weight());
            // Before anybody can remove it again.
            kept.iter().for_each(|kept| kept.disk.write_head(&lane.url, &lane.primary, &entry));
        }
        self.shrink();
    }

    /// None: there is no room for it.
    fn slot(&self, url: &Arc<Url>, primary: &Arc<Primary>, entry: Arc<Entry>) -> Option<Slot> {
        let memory = entry.bytes() + url.bytes() + primary.bytes() + PLACE_BYTES;
        let disk = entry.content.kept().map(|kept| disk_bytes(kept.length));
        if memory > self.limit.load(Ordering::Relaxed) || disk.is_some_and(|bytes| bytes > self.tier.limit()) {
            entry.content.retire(None);
            return None;
        }
        let rank = Rank {
            bytes: disk.unwrap_or(memory),
            name: self.hasher.hash_one((url, primary, &entry.head.values)),
            ..Rank::default()
        };
        Some(Slot {
            number: self.number.fetch_add(1, Ordering::Relaxed),
            url: url.clone(),
            primary: primary.clone(),
            entry,
            rank,
            head: disk.map_or(0, |_| memory),
        })
    }

    /// What was stored before a restart.
    pub(super) fn put_again(
        &self,
        url: &Arc<Url>,
        primary: &Arc<Primary>,
        entry: Arc<Entry>,
        is_purged: impl Fn() -> bool,
    ) {
        let Some(slot) = self.slot(url, primary, entry) else { return };
        {
            let mut shard = self.shard(url).lock();
            let standing = self.standing(url, &slot.entry);
            if is_purged() || standing == Standing::Gone {
                slot.entry.content.retire(None);
                return;
            }
            let (before, entry) = (shard.weight(), slot.entry.clone());
            shard.put_again(slot, VARIANTS);
            self.count(before, shard.weight());
            if let (Standing::Stale, Some(kept)) = (standing, entry.content.kept()) {
                entry.soften();
                kept.disk.write_head(url, primary, &entry);
            }
        }
        self.shrink();
    }

    pub(super) fn standing(&self, url: &Url, entry: &Entry) -> Standing {
        self.groups.standing(url, &entry.head.groups, entry.head.epoch)
    }

    pub(super) fn count(&self, before: Weight, after: Weight) {
        for (bytes, before, after) in
            [(&self.bytes, before.memory, after.memory), (&self.tier.bytes, before.disk, after.disk)]
        {
            if after >= before {
                bytes.fetch_add(after - before, Ordering::Relaxed);
            } else {
                bytes.fetch_sub(before - after, Ordering::Relaxed);
            }
        }
    }

    /// One after another the shards give something up, until all is within the bounds.
    pub(super) fn shrink(&self) {
        let is_over = || self.bytes.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed);
        self.give_way(Place::Memory, is_over);
        // Where heads of what is on the disk take all the memory, they are too many.
        self.give_way(Place::Disk, || is_over() || self.tier.is_over());
    }

    fn give_way(&self, place: Place, is_over: impl Fn() -> bool) {
        let mut empty = 0;
        while is_over() && empty < SHARDS {
            let mut shard = self.shards[self.turn.fetch_add(1, Ordering::Relaxed) % SHARDS].lock();
            let before = shard.weight();
            match (shard.evict(place), place) {
                (true, Place::Memory) => {
                    empty = 0;
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                (true, Place::Disk) => {
                    empty = 0;
                    self.tier.evicted.fetch_add(1, Ordering::Relaxed);
                }
                (false, _) => empty += 1,
            }
            self.count(before, shard.weight());
        }
    }

    pub fn level(&self) -> Level {
        let entries = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            (shard.queues.entries() as u64, shard.disk.entries() as u64)
        };
        let entries = self.shards.iter().map(entries);
        let (memory, disk) = entries.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Level {
            entries: memory,
            disk: self.tier.level(disk),
            bytes: self.bytes.load(Ordering::Relaxed) as u64,
            limit: self.limit.load(Ordering::Relaxed) as u64,
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }
}
