//! Tokens got for those of callers (RFC 8693), one for each caller's.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use super::slot::Slot;

/// Callers' tokens of a cluster for which another one is kept; the oldest makes room.
pub const KEPT: usize = 10_000;
/// Exchanges of a cluster under way at once; others wait within their time.
pub const UNDER_WAY: usize = 64;
/// Of the oldest, how many are looked at whenever another one comes: those that are over go.
const SWEPT: usize = 2;

pub(super) struct Exchanges {
    slots: Mutex<Slots>,
    pub(super) places: Arc<Semaphore>,
}

/// By the SHA-256 of the caller's token, which itself is not kept.
#[derive(Default)]
struct Slots {
    known: FxHashMap<[u8; 32], Arc<Slot>>,
    order: VecDeque<[u8; 32]>,
}

impl Default for Exchanges {
    fn default() -> Self {
        Self { slots: Mutex::default(), places: Arc::new(Semaphore::new(UNDER_WAY)) }
    }
}

impl Exchanges {
    pub(super) fn slot(&self, name: [u8; 32]) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.known.get(&name) {
            return slot.clone();
        }
        for _ in 0..SWEPT {
            let Some(oldest) = slots.order.pop_front() else { break };
            let full = slots.known.len() >= KEPT;
            match slots.known.get(&oldest).is_some_and(|slot| slot.is_empty()) || full {
                true => drop(slots.known.remove(&oldest)),
                false => slots.order.push_back(oldest),
            }
        }
        let slot = Arc::<Slot>::default();
        slots.known.insert(name, slot.clone());
        slots.order.push_back(name);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_callers_stays_within_its_bound() {
        let exchanges = Exchanges::default();
        let name = |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            name
        };
        let first = exchanges.slot(name(0));
        assert!(Arc::ptr_eq(&first, &exchanges.slot(name(0))));
        for number in 0..3 * KEPT {
            exchanges.slot(name(number));
            let slots = exchanges.slots.lock();
            assert!(slots.known.len() <= KEPT && slots.known.len() == slots.order.len());
        }
    }
}
