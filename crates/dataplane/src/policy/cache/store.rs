//! The stored responses of all routes: shards by URL, each with a lock that is held for a look-up, never while anybody
//! waits. The bound in bytes is one for all shards.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::admission::{Queues, Rank, Ticket};
use super::collapse::{Flight, Lead};
use super::entry::Entry;
use super::groups::{Groups, Of, Standing};
use super::key::{Primary, Url};
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
    shards: [Mutex<Shard>; SHARDS],
    pub groups: Groups,
    limit: AtomicUsize,
    bytes: AtomicUsize,
    /// Whose turn it is to give way.
    turn: AtomicUsize,
    number: AtomicU64,
    evicted: AtomicU64,
    /// How routes make keys of queries: a URL is invalidated under every one of them.
    rules: Mutex<Arc<[CacheQuery]>>,
}

#[derive(Default)]
struct Shard {
    urls: HashMap<Arc<Url>, FxHashMap<Arc<Primary>, Variants>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    queues: Queues,
    flights: HashMap<Lane, Arc<Flight>>,
    sweep_at: usize,
    unshared: FxHashMap<u64, Instant>,
}

/// What a `Vary` names, and the values of a request.
type Selected = (Arc<[HeaderName]>, Box<[Normal]>);

/// The responses of one key, the newest first.
type Variants = Vec<usize>;

struct Slot {
    number: u64,
    url: Arc<Url>,
    primary: Arc<Primary>,
    entry: Arc<Entry>,
    rank: Rank,
}

/// What the store holds, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    pub entries: u64,
    pub bytes: u64,
    pub limit: u64,
    pub evicted: u64,
}

/// What is to be purged.
pub enum Purge<'a> {
    All,
    /// `scheme://host/path?query`.
    Url(&'a str),
    Prefix(&'a str),
    Group(&'a str),
}

impl Level {
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [("entries", self.entries), ("bytes", self.bytes), ("limit", self.limit), ("evicted", self.evicted)]
    }
}

impl<'a> Purge<'a> {
    /// None: there is no such way.
    pub fn named(what: &str, value: &'a str) -> Option<Self> {
        Some(match what {
            "url" => Purge::Url(value),
            "prefix" => Purge::Prefix(value),
            "group" => Purge::Group(value),
            "all" => Purge::All,
            _ => return None,
        })
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

    fn shard(&self, url: &Url) -> &Mutex<Shard> {
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

    fn count(&self, before: usize, after: usize) {
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

    /// All that is stored for this URL, whichever route and variant; what is on its way is not stored. How many.
    pub fn invalidate(&self, scheme: &str, host: &str, path: &str, query: Option<&str>, soft: bool) -> u64 {
        let rules = self.rules.lock().clone();
        let mut urls: Vec<Url> = rules.iter().map(|rule| Url::new(scheme, host, path, query, rule)).collect();
        urls.sort();
        urls.dedup();
        urls.iter().map(|url| self.purge_shard(self.shard(url), soft, |stored, _| stored == url, Some(url))).sum()
    }

    pub fn purge(&self, purge: &Purge<'_>, soft: bool) -> Result<u64, String> {
        let everywhere = |chosen: &dyn Fn(&Url, Option<&Entry>) -> bool| {
            self.shards.iter().map(|shard| self.purge_shard(shard, soft, chosen, None)).sum::<u64>()
        };
        Ok(match purge {
            Purge::All => everywhere(&|_, _| true),
            Purge::Prefix(prefix) => {
                let prefix = normal_prefix(prefix)?;
                everywhere(&|url, _| url.text().starts_with(&prefix))
            }
            Purge::Group(group) => {
                self.groups.invalidate(Of::All, group, soft);
                everywhere(&|_, entry| {
                    entry.is_some_and(|entry| entry.head.groups.iter().any(|each| **each == **group))
                })
            }
            Purge::Url(text) => {
                let (scheme, host, path, query) = split(text)?;
                self.invalidate(scheme, host, &path, query, soft)
            }
        })
    }

    /// `only`: the one URL that is meant, where that is known.
    fn purge_shard(
        &self,
        shard: &Mutex<Shard>,
        soft: bool,
        chosen: impl Fn(&Url, Option<&Entry>) -> bool,
        only: Option<&Url>,
    ) -> u64 {
        let mut shard = shard.lock();
        let shard = &mut *shard;
        shard.flights.iter().filter(|(lane, _)| chosen(&lane.url, None)).for_each(|(_, flight)| flight.doom());
        let indexes: Vec<usize> = match only {
            Some(url) => shard.urls.get(url).into_iter().flat_map(FxHashMap::values).flatten().copied().collect(),
            None => {
                let slots = shard.slots.iter().enumerate();
                slots
                    .filter(|(_, slot)| slot.as_ref().is_some_and(|slot| chosen(&slot.url, Some(&slot.entry))))
                    .map(|(index, _)| index)
                    .collect()
            }
        };
        let before = shard.queues.bytes();
        for index in &indexes {
            match shard.slots.get(*index) {
                Some(Some(slot)) if soft => slot.entry.soften(),
                _ => shard.remove(*index),
            }
        }
        self.count(before, shard.queues.bytes());
        indexes.len() as u64
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

impl Shard {
    fn put(
        &mut self,
        url: &Arc<Url>,
        primary: &Arc<Primary>,
        entry: Arc<Entry>,
        mut rank: Rank,
        number: u64,
        most: usize,
    ) {
        let variants = self.urls.entry(url.clone()).or_default().entry(primary.clone()).or_default();
        let same =
            |slot: &Slot| slot.entry.head.names == entry.head.names && slot.entry.head.values == entry.head.values;
        let known = variants.iter().position(|index| self.slots.get(*index).and_then(Option::as_ref).is_some_and(same));
        if let Some(at) = known {
            let index = variants.remove(at);
            variants.insert(0, index);
            if let Some(Some(slot)) = self.slots.get_mut(index) {
                self.queues.resize(&mut slot.rank, rank.bytes);
                slot.entry = entry;
            }
            return;
        }
        let index = self.free.pop().unwrap_or(self.slots.len());
        variants.insert(0, index);
        let surplus: Vec<usize> = variants.iter().skip(most.max(1)).copied().collect();
        self.queues.admit((index, number), &mut rank);
        let slot = Some(Slot { number, url: url.clone(), primary: primary.clone(), entry, rank });
        match self.slots.get_mut(index) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        surplus.into_iter().for_each(|index| self.remove(index));
        let slots = &self.slots;
        self.queues.sweep(|ticket| is_valid(slots, ticket));
    }

    fn remove(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::take) else { return };
        self.free.push(index);
        self.queues.leave(&slot.rank);
        let Some(primaries) = self.urls.get_mut(&slot.url) else { return };
        if let Some(variants) = primaries.get_mut(&slot.primary) {
            variants.retain(|each| *each != index);
            if variants.is_empty() {
                primaries.remove(&slot.primary);
            }
        }
        if primaries.is_empty() {
            self.urls.remove(&slot.url);
        }
    }

    fn evict(&mut self) -> bool {
        let slots = &mut self.slots;
        let victim = self.queues.victim(|(index, number), see| match slots.get_mut(index) {
            Some(Some(slot)) if slot.number == number => {
                see(&mut slot.rank);
                true
            }
            _ => false,
        });
        match victim {
            Some((index, _)) => self.remove(index),
            None => return false,
        }
        true
    }
}

fn is_valid(slots: &[Option<Slot>], (index, number): Ticket) -> bool {
    slots.get(index).and_then(Option::as_ref).is_some_and(|slot| slot.number == number)
}

/// Scheme, host, normalised path and query of an absolute URL.
pub fn split(text: &str) -> Result<(&'static str, &str, String, Option<&str>), String> {
    let wrong = || format!("'{text}' is no URL such as https://shop.example/items?page=1");
    let (scheme, rest) = match text.split_once("://").ok_or_else(wrong)? {
        (scheme, rest) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        (scheme, rest) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        _ => return Err(wrong()),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if host.is_empty() {
        return Err(wrong());
    }
    let path = crate::route::path::normalise(path).map_err(|_| wrong())?.into_owned();
    Ok((scheme, host, path, query))
}

fn normal_prefix(text: &str) -> Result<String, String> {
    let wrong = || format!("'{text}' does not begin like a URL: https://shop.example/items/");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let scheme = scheme.to_ascii_lowercase();
    if host.is_empty() || !matches!(scheme.as_str(), "http" | "https") {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{}{path}", super::key::normal_host(&scheme, host)))
}
