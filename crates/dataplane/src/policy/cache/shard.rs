//! A part of the store: its responses by URL, then by route and caller, then by what `Vary` names; and the fetches under
//! way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::admission::{Queues, Rank, Ticket};
use super::collapse::Flight;
use super::entry::Entry;
use super::key::{Primary, Url};
use super::store::Lane;

#[derive(Default)]
pub struct Shard {
    pub urls: FxHashMap<Arc<Url>, FxHashMap<Arc<Primary>, Variants>>,
    pub slots: Vec<Option<Slot>>,
    pub free: Vec<usize>,
    /// Of what is in memory, and of what is on the disk.
    pub queues: Queues,
    pub disk: Queues,
    /// What the heads of the latter take of the memory.
    pub heads: usize,
    pub flights: HashMap<Lane, Arc<Flight>>,
    pub sweep_at: usize,
    pub unshared: FxHashMap<u64, Instant>,
}

/// The responses of one key, the newest first.
type Variants = Vec<usize>;

pub struct Slot {
    pub number: u64,
    pub url: Arc<Url>,
    pub primary: Arc<Primary>,
    pub entry: Arc<Entry>,
    pub rank: Rank,
    /// What it takes of the memory, where its content is on the disk.
    pub head: usize,
}

/// What a shard takes, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    pub memory: usize,
    pub disk: usize,
}

/// Where something is to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Memory,
    Disk,
}

impl Slot {
    fn place(&self) -> Place {
        match self.entry.content.kept() {
            None => Place::Memory,
            Some(_) => Place::Disk,
        }
    }
}

impl Shard {
    pub fn weight(&self) -> Weight {
        Weight { memory: self.queues.bytes() + self.heads, disk: self.disk.bytes() }
    }

    fn queues(&mut self, place: Place) -> &mut Queues {
        match place {
            Place::Memory => &mut self.queues,
            Place::Disk => &mut self.disk,
        }
    }

    /// The response of these values, if there is one.
    fn same(&self, url: &Arc<Url>, primary: &Arc<Primary>, entry: &Entry) -> Option<usize> {
        let variants = self.urls.get(url)?.get(primary)?;
        let same =
            |slot: &Slot| slot.entry.head.names == entry.head.names && slot.entry.head.values == entry.head.values;
        variants.iter().copied().find(|index| self.slots.get(*index).and_then(Option::as_ref).is_some_and(same))
    }

    /// In place of what is there for the same values.
    pub fn put(&mut self, mut slot: Slot, most: usize) {
        let known = self.same(&slot.url, &slot.primary, &slot.entry);
        let old = known.and_then(|index| self.slots.get(index)?.as_ref()).map(|old| &old.entry);
        // A part does not take the place of the whole that has come meanwhile.
        if slot.entry.content.part().is_some() && old.is_some_and(|old| old.content.part().is_none() && old.is_good()) {
            return;
        }
        let old = known.and_then(|index| Some((index, self.slots.get(index)?.as_ref()?.place())));
        if let Some((index, _)) = old.filter(|(_, place)| *place == slot.place()) {
            self.renew(index, slot);
            return;
        }
        if let Some((index, _)) = old {
            self.remove(index);
        }
        let index = self.free.pop().unwrap_or(self.slots.len());
        let variants = self.urls.entry(slot.url.clone()).or_default().entry(slot.primary.clone()).or_default();
        variants.insert(0, index);
        let surplus: Vec<usize> = variants.iter().skip(most.max(1)).copied().collect();
        let ticket = (index, slot.number);
        let place = slot.place();
        self.queues(place).admit(ticket, &mut slot.rank);
        self.heads += slot.head;
        match self.slots.get_mut(index) {
            Some(free) => *free = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        surplus.into_iter().for_each(|index| self.remove(index));
        let Self { slots, queues, disk, .. } = self;
        for queues in [queues, disk] {
            queues.sweep(|ticket| is_valid(slots, ticket));
        }
    }

    /// It keeps its place in the queue.
    fn renew(&mut self, index: usize, slot: Slot) {
        if let Some(variants) = self.urls.get_mut(&slot.url).and_then(|primaries| primaries.get_mut(&slot.primary)) {
            variants.retain(|each| *each != index);
            variants.insert(0, index);
        }
        let Some(Some(mut old)) = self.slots.get_mut(index).map(Option::take) else { return };
        self.queues(slot.place()).resize(&mut old.rank, slot.rank.bytes);
        self.heads = self.heads - old.head + slot.head;
        old.entry.content.retire(Some(&slot.entry.content));
        if let Some(place) = self.slots.get_mut(index) {
            *place = Some(Slot { entry: slot.entry, head: slot.head, ..old });
        }
    }

    /// What was stored before a restart: not in place of what has come since.
    pub fn put_again(&mut self, slot: Slot, most: usize) {
        let known = self.same(&slot.url, &slot.primary, &slot.entry).and_then(|index| self.slots.get(index)?.as_ref());
        match known.is_some_and(|known| known.entry.head.received_s >= slot.entry.head.received_s) {
            true => slot.entry.content.retire(None),
            false => self.put(slot, most),
        }
    }

    pub fn remove(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::take) else { return };
        self.free.push(index);
        self.queues(slot.place()).leave(&slot.rank);
        self.heads -= slot.head;
        slot.entry.content.retire(None);
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

    pub fn evict(&mut self, place: Place) -> bool {
        let Self { slots, queues, disk, .. } = self;
        let queues = match place {
            Place::Memory => queues,
            Place::Disk => disk,
        };
        let victim = queues.victim(|(index, number), see| match slots.get_mut(index) {
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
