//! Groups of stored responses that are invalidated together (RFC 9875). A group that was invalidated is remembered with the
//! moment: what was fetched before it does not count any more, also where the answer was still on its way.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::{HeaderMap, HeaderName};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use sfv::{BareItem, List, ListEntry, Parser};

use super::key::Url;

pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
pub const INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// Of a response, each of at most so many bytes (§2).
const MOST: usize = 32;
const NAME_BYTES: usize = 128;

const SHARDS: usize = 16;
/// Invalidated groups that are remembered in each shard. Before it takes more, everything in a group counts as
/// invalidated.
const REMEMBERED: usize = 8192;

/// The groups that a field names; what goes beyond the bounds is left out. None of a field that is no list of strings.
pub fn named(headers: &HeaderMap, name: &HeaderName) -> Vec<Box<str>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Vec::new() };
    let text = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => match &item.bare_item {
            BareItem::String(text) if text.as_str().len() <= NAME_BYTES => Some(text.as_str().into()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    };
    list.iter().filter_map(text).take(MOST).collect()
}

/// Whose groups are meant: those of one origin, or of all.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// By a response of this origin.
    Origin(&'a Url),
    /// By the operator.
    All,
}

#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    hard: u64,
    soft: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Good,
    Stale,
    Gone,
}

pub struct Groups {
    hasher: RandomState,
    shards: [RwLock<FxHashMap<u128, Moments>>; SHARDS],
    /// Counts invalidations; a fetch notes it before it begins.
    epoch: AtomicU64,
    /// Whatever is in a group and older than this is gone.
    floor: AtomicU64,
    used: AtomicBool,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            epoch: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            used: AtomicBool::new(false),
        }
    }
}

impl Groups {
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The moment from which on it is in force.
    pub fn invalidate(&self, of: Of<'_>, group: &str, soft: bool) -> u64 {
        self.note(self.id(of, group), soft, || self.epoch.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// What was invalidated before a restart; without a group, that moments were counted so far.
    pub fn restore(&self, at: u64, group: Option<(Of<'_>, &str)>, soft: bool) {
        self.epoch.fetch_max(at, Ordering::AcqRel);
        if let Some((of, group)) = group {
            self.note(self.id(of, group), soft, || at);
        }
    }

    fn note(&self, id: u128, soft: bool, at: impl FnOnce() -> u64) -> u64 {
        let mut shard = self.shards[id as usize % SHARDS].write();
        self.used.store(true, Ordering::Release);
        let at = at();
        if shard.len() >= REMEMBERED && !shard.contains_key(&id) {
            self.floor.fetch_max(at, Ordering::AcqRel);
            shard.clear();
        }
        let moments = shard.entry(id).or_default();
        let moment = if soft { &mut moments.soft } else { &mut moments.hard };
        *moment = at.max(*moment);
        at
    }

    /// Of a response of that URL in these groups, whose fetch began at `epoch`.
    pub fn standing(&self, url: &Url, groups: &[Box<str>], epoch: u64) -> Standing {
        if groups.is_empty() || !self.used.load(Ordering::Acquire) {
            return Standing::Good;
        }
        if epoch < self.floor.load(Ordering::Acquire) {
            return Standing::Gone;
        }
        let mut standing = Standing::Good;
        for group in groups {
            for of in [Of::Origin(url), Of::All] {
                let id = self.id(of, group);
                let moments = self.shards[id as usize % SHARDS].read().get(&id).copied().unwrap_or_default();
                if moments.hard > epoch {
                    return Standing::Gone;
                }
                if moments.soft > epoch {
                    standing = Standing::Stale;
                }
            }
        }
        standing
    }

    /// Keyed at random, so that nobody outside can choose two names with one id; should chance do so, too much is gone.
    fn id(&self, of: Of<'_>, group: &str) -> u128 {
        let origin = match of {
            Of::Origin(url) => Some((&url.scheme, &url.host)),
            Of::All => None,
        };
        let half = |half: u8| u128::from(self.hasher.hash_one((half, origin, group)));
        half(0) << 64 | half(1)
    }
}
