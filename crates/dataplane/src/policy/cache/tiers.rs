//! The store and its disk tier: opened, left, and told of what is invalidated.

use std::sync::Arc;
use std::thread;

use super::content::Content;
use super::disk::{self, Disk, Line, Meant};
use super::entry::Entry;
use super::groups::{Of, Standing};
use super::store::Store;
use crate::snapshot::CacheDisk;

impl Store {
    /// At the start, and whenever the configuration changes. A directory that is not named any more is emptied: what is
    /// invalidated from now on could not be told to it.
    pub fn set_disk(&self, settings: Option<&CacheDisk>) {
        if self.tier.want(settings) {
            if let Some(left) = self.tier.leave() {
                left.meanwhile.wait();
                self.forget_disk();
            }
            self.open_disk();
        }
        self.shrink();
    }

    /// What a process before has left is read on a thread of its own.
    fn open_disk(&self) {
        let (Some(disk), Some(store)) = (self.tier.open(&self.groups), self.me.upgrade()) else { return };
        let name = thread::Builder::new().name("cache-disk-load".to_owned());
        let loading = disk.clone();
        let load = move || {
            disk::load(&loading, |found, kept, soft| {
                let entry = Entry::new(found.head, Content::Disk(kept));
                if soft {
                    entry.soften();
                }
                store.put_again(&found.url, &found.primary, entry, || loading.meanwhile.is_purged(&found.url));
            });
        };
        if let Err(cause) = name.spawn(load) {
            disk.not_loaded(&cause);
        }
    }

    /// For content of at least `Tier::from` bytes; None: it is not to be stored. One that could not be used is tried again.
    pub fn disk(&self) -> Option<Arc<Disk>> {
        let disk = self.tier.disk();
        if disk.is_none() && self.tier.is_to_be_tried() {
            let store = self.me.upgrade()?;
            let _no_thread = thread::Builder::new().name("cache-disk-open".to_owned()).spawn(move || store.open_disk());
        }
        disk
    }

    /// What is being written goes into what there is room for, others having given way.
    pub fn has_room(&self) -> bool {
        self.shrink();
        !self.tier.is_over()
    }

    /// Nothing of it is looked for any more.
    fn forget_disk(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.weight();
            let on_disk = |slot: &Option<super::shard::Slot>| {
                slot.as_ref().is_some_and(|slot| slot.entry.content.kept().is_some())
            };
            let indexes: Vec<usize> = (0..shard.slots.len()).filter(|index| on_disk(&shard.slots[*index])).collect();
            indexes.into_iter().for_each(|index| shard.remove(index));
            self.count(before, shard.weight());
        }
    }

    /// All that belongs to the group, also what is on its way, and after a restart.
    pub fn invalidate_group(&self, of: Of<'_>, group: &str, soft: bool) {
        let at = self.groups.invalidate(of, group, soft);
        if let Some(disk) = self.tier.disk() {
            let store = self.me.clone();
            disk.note(Line::new(at, of, group, soft), move || store.upgrade().map_or(0, |store| store.carry_out()));
        }
    }

    /// Removes from the disk what is invalid by its groups. The moment up to which that is done.
    fn carry_out(&self) -> u64 {
        let at = self.groups.epoch();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.weight();
            for index in 0..shard.slots.len() {
                let Some(Some(slot)) = shard.slots.get(index) else { continue };
                let Some(kept) = slot.entry.content.kept() else { continue };
                match self.standing(&slot.url, &slot.entry) {
                    Standing::Good => {}
                    Standing::Gone => shard.remove(index),
                    Standing::Stale => {
                        slot.entry.soften();
                        kept.disk.write_head(&slot.url, &slot.primary, &slot.entry);
                    }
                }
            }
            self.count(before, shard.weight());
        }
        at
    }

    /// A purge reaches what is still to be loaded, too.
    pub(super) fn note_purge(&self, meant: impl FnOnce() -> Meant) {
        if let Some(disk) = self.tier.disk() {
            disk.meanwhile.note(meant);
        }
    }

    /// What was asked of the disk so far is done when the process ends.
    pub fn settle(&self) {
        if let Some(disk) = self.tier.disk() {
            disk.settle();
        }
    }
}
