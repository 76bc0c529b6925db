//! Who uses which version: counted in memory, as long as some program has the API.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Of one version that are told apart; more of them are counted together.
pub const CALLERS: usize = 1000;
/// Stands for those. No consumer has such a name.
pub const OTHERS: &str = "(others)";

/// Of one API.
#[derive(Default)]
pub struct ApiUse {
    versions: Mutex<BTreeMap<Arc<str>, Arc<VersionUse>>>,
    /// Requests for versions that there are not.
    unknown: AtomicU64,
}

/// Of one version.
#[derive(Default)]
pub struct VersionUse {
    /// By the consumer's name, empty for those who are nobody.
    callers: ArcSwap<FxHashMap<Arc<str>, Arc<Count>>>,
    adding: Mutex<()>,
}

#[derive(Default)]
struct Count {
    served: AtomicU64,
    refused: AtomicU64,
    /// Seconds since 1970.
    last: AtomicU64,
}

/// What one caller has asked for.
pub struct Used {
    pub consumer: Arc<str>,
    pub served: u64,
    /// Because the version is retired, or switched off for a while.
    pub refused: u64,
    pub last: u64,
}

impl ApiUse {
    pub fn version(&self, name: &Arc<str>) -> Arc<VersionUse> {
        let mut versions = self.versions.lock();
        // What no program has any more, but for this one, which is about to.
        versions.retain(|known, version| known == name || Arc::strong_count(version) > 1);
        versions.entry(name.clone()).or_default().clone()
    }

    pub fn versions(&self) -> BTreeMap<Arc<str>, Arc<VersionUse>> {
        self.versions.lock().clone()
    }

    pub fn note_unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}

impl VersionUse {
    pub fn note(&self, consumer: &str, refused: bool, now: u64) {
        match self.callers.load().get(consumer) {
            Some(count) => count.note(refused, now),
            None => self.add(consumer).note(refused, now),
        }
    }

    /// Seldom: once for each caller.
    fn add(&self, consumer: &str) -> Arc<Count> {
        let _held = self.adding.lock();
        let callers = self.callers.load();
        let known = callers.len() - usize::from(callers.contains_key(OTHERS));
        let consumer = if known < CALLERS { consumer } else { OTHERS };
        if let Some(count) = callers.get(consumer) {
            return count.clone();
        }
        let (mut more, count) = (FxHashMap::clone(&callers), Arc::<Count>::default());
        more.insert(consumer.into(), count.clone());
        self.callers.store(Arc::new(more));
        count
    }

    /// By their names.
    pub fn used(&self) -> Vec<Used> {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let callers = self.callers.load();
        let used = callers.iter().map(|(consumer, count)| Used {
            consumer: consumer.clone(),
            served: get(&count.served),
            refused: get(&count.refused),
            last: get(&count.last),
        });
        let mut used: Vec<Used> = used.collect();
        used.sort_by(|one, two| one.consumer.cmp(&two.consumer));
        used
    }
}

impl Count {
    fn note(&self, refused: bool, now: u64) {
        let count = if refused { &self.refused } else { &self.served };
        count.fetch_add(1, Ordering::Relaxed);
        // Most find the second noted already.
        if self.last.load(Ordering::Relaxed) != now {
            self.last.store(now, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_beyond_the_bound_are_counted_together() {
        let version = VersionUse::default();
        for index in 0..CALLERS + 50 {
            version.note(&format!("c{index}"), false, 7);
        }
        version.note("c0", true, 8);
        let used = version.used();
        assert_eq!(used.len(), CALLERS + 1);
        let of = |name: &str| {
            used.iter().find(|used| &*used.consumer == name).map(|used| (used.served, used.refused, used.last))
        };
        assert_eq!((of(OTHERS), of("c0")), (Some((50, 0, 7)), Some((1, 1, 8))));
    }

    #[test]
    fn a_version_that_no_program_has_is_forgotten() {
        let api = ApiUse::default();
        let (one, _two) = (api.version(&"v1".into()), api.version(&"v2".into()));
        one.note("web", false, 1);
        assert_eq!(api.version(&"v1".into()).used().len(), 1);
        drop(one);
        api.version(&"v2".into());
        assert_eq!(api.versions().keys().map(|name| &**name).collect::<Vec<_>>(), ["v2"]);
    }
}
