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
    pub urls: HashMap<Arc<Url>, FxHashMap<Arc<Primary>, Variants>>,
    pub slots: Vec<Option<Slot>>,
    pub free: Vec<usize>,
    pub queues: Queues,
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
}

impl Shard {
    pub fn put(
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

    pub fn remove(&mut self, index: usize) {
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

    pub fn evict(&mut self) -> bool {
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
