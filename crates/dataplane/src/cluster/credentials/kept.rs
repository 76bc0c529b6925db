//! Tokens that outlive a Program, by what makes them the same: cluster, token endpoint, client and what is asked for.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::exchange::Exchanges;
use super::slot::Slot;

#[derive(Default)]
pub struct Kept {
    slots: Mutex<FxHashMap<String, Arc<Slot>>>,
    exchanges: Mutex<FxHashMap<String, Arc<Exchanges>>>,
}

impl Kept {
    pub(super) fn slot(&self, identity: &str) -> Arc<Slot> {
        of(&self.slots, identity)
    }

    pub(super) fn exchanges(&self, identity: &str) -> Arc<Exchanges> {
        of(&self.exchanges, identity)
    }
}

fn of<T: Default>(kept: &Mutex<FxHashMap<String, Arc<T>>>, identity: &str) -> Arc<T> {
    let mut kept = kept.lock();
    // Those that no Program names any more.
    kept.retain(|known, one| known == identity || Arc::strong_count(one) > 1);
    kept.entry(identity.to_owned()).or_default().clone()
}
