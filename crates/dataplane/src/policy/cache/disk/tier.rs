//! The directory that is in use, if there is one: opened, left and tried again.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::trouble::Trouble;
use super::Disk;
use crate::callout::CalloutPort;
use crate::policy::cache::groups::Groups;
use crate::snapshot::CacheDisk;

/// What it holds, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    pub entries: u64,
    pub bytes: u64,
    /// 0 where there is none.
    pub limit: u64,
    /// Whether it can be used.
    pub up: bool,
    pub evicted: u64,
    pub failures: u64,
    pub damaged: u64,
    pub refused: u64,
}

pub struct Tier {
    disk: ArcSwapOption<Disk>,
    /// Where it is to be, also while it cannot be used.
    wanted: Mutex<Option<CacheDisk>>,
    limit: AtomicUsize,
    /// Content that is longer is kept there.
    from: AtomicU64,
    pub bytes: AtomicUsize,
    pub evicted: AtomicU64,
    trouble: Arc<Trouble>,
}

impl Tier {
    pub fn new(callouts: Arc<CalloutPort>) -> Self {
        Self {
            disk: ArcSwapOption::empty(),
            wanted: Mutex::default(),
            limit: AtomicUsize::new(0),
            from: AtomicU64::new(u64::MAX),
            bytes: AtomicUsize::new(0),
            evicted: AtomicU64::new(0),
            trouble: Arc::new(Trouble::new(callouts)),
        }
    }

    /// None: there is none, or it cannot be used.
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.load_full()
    }

    /// Content of at least so many bytes is for the disk; it is not kept in memory where that cannot be used.
    pub fn from(&self) -> u64 {
        self.from.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        let being_written = self.disk.load().as_ref().map_or(0, |disk| disk.being_written.load(Ordering::Relaxed));
        self.bytes.load(Ordering::Relaxed).saturating_add(being_written) > self.limit.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// What is to be from now on. True: another directory than before, or none.
    pub fn want(&self, settings: Option<&CacheDisk>) -> bool {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        self.limit.store(settings.map_or(0, |disk| bytes(disk.size_bytes)), Ordering::Relaxed);
        self.from.store(settings.map_or(u64::MAX, |disk| disk.from_bytes), Ordering::Relaxed);
        let mut wanted = self.wanted.lock();
        let other = wanted.as_ref().map(|disk| &disk.path) != settings.map(|disk| &disk.path);
        *wanted = settings.cloned();
        other
    }

    pub fn leave(&self) -> Option<Arc<Disk>> {
        self.disk.swap(None)
    }

    /// Opens it, where it is to be and is not. The one that was opened now.
    pub fn open(&self, groups: &Groups) -> Option<Arc<Disk>> {
        let wanted = self.wanted.lock();
        let path = wanted.as_ref().filter(|_| self.disk.load().is_none())?.path.clone();
        match Disk::open(Path::new(&path), groups, self.trouble.clone()) {
            Ok(disk) => {
                let disk = Arc::new(disk);
                self.disk.store(Some(disk.clone()));
                Some(disk)
            }
            Err(cause) => {
                self.trouble.failed(&format!("{path} cannot be used"), &cause);
                None
            }
        }
    }

    /// It could not be used before, and it is time to try again.
    pub fn is_to_be_tried(&self) -> bool {
        self.limit() > 0 && self.disk.load().is_none() && !self.trouble.pauses()
    }

    pub fn level(&self, entries: u64) -> Level {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Level {
            entries,
            bytes: self.bytes.load(Ordering::Relaxed) as u64,
            limit: self.limit() as u64,
            up: self.disk.load().is_some() && !self.trouble.pauses(),
            evicted: count(&self.evicted),
            failures: count(&self.trouble.failures),
            damaged: count(&self.trouble.damaged),
            refused: count(&self.trouble.refused),
        }
    }
}
