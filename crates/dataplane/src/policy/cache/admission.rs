//! Which stored responses stay when memory is short: three queues (S3-FIFO). What is new stays on probation, what was used
//! there again moves to the main queue, and of what had to go the name is remembered for a while, so that it needs no
//! probation when it comes back. A scan of things that are wanted once passes through the probation alone.

use std::collections::{HashSet, VecDeque};

/// The share of probation, in percent of the shard's bytes.
const PROBATION_PERCENT: usize = 10;
/// Uses count up to this.
const MOST_USES: u8 = 3;
/// Names that are remembered at least, and per kept response.
const REMEMBERED: usize = 128;

/// A place among the slots of a shard; the number tells whether it still holds the same.
pub type Ticket = (usize, u64);

/// What the queues know of a slot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rank {
    pub uses: u8,
    pub main: bool,
    pub bytes: usize,
    pub name: u64,
}

impl Rank {
    pub fn used(&mut self) {
        self.uses = (self.uses + 1).min(MOST_USES);
    }
}

#[derive(Default)]
pub struct Queues {
    probation: VecDeque<Ticket>,
    main: VecDeque<Ticket>,
    gone: VecDeque<u64>,
    remembered: HashSet<u64>,
    probation_bytes: usize,
    main_bytes: usize,
    kept: usize,
}

impl Queues {
    pub fn entries(&self) -> usize {
        self.kept
    }

    pub fn bytes(&self) -> usize {
        self.probation_bytes + self.main_bytes
    }

    pub fn admit(&mut self, ticket: Ticket, rank: &mut Rank) {
        rank.main = self.remembered.remove(&rank.name);
        self.queue(rank.main).push_back(ticket);
        *self.of(rank.main) += rank.bytes;
        self.kept += 1;
    }

    /// It takes another number of bytes from now on.
    pub fn resize(&mut self, rank: &mut Rank, bytes: usize) {
        let total = self.of(rank.main);
        *total = total.saturating_sub(rank.bytes) + bytes;
        rank.bytes = bytes;
    }

    /// Its ticket stays behind, void.
    pub fn leave(&mut self, rank: &Rank) {
        let total = self.of(rank.main);
        *total = total.saturating_sub(rank.bytes);
        self.kept -= 1;
    }

    /// The next to go. `rank`: of the slot that a ticket still stands for.
    pub fn victim(&mut self, mut rank: impl FnMut(Ticket, &mut dyn FnMut(&mut Rank)) -> bool) -> Option<Ticket> {
        // Each round takes a ticket out or lowers a count: it ends.
        loop {
            let probation = self.probation_bytes * 100 >= self.bytes() * PROBATION_PERCENT || self.main.is_empty();
            let ticket = self.queue(!probation).pop_front().or_else(|| self.queue(probation).pop_front())?;
            let (mut stays, mut seen) = (false, Rank::default());
            let valid = rank(ticket, &mut |rank| {
                stays = rank.uses > 0;
                seen = *rank;
                if stays {
                    rank.uses -= 1;
                    rank.main = true;
                }
            });
            match (valid, stays) {
                (false, _) => {}
                (true, true) => {
                    if !seen.main {
                        self.probation_bytes = self.probation_bytes.saturating_sub(seen.bytes);
                        self.main_bytes += seen.bytes;
                    }
                    self.main.push_back(ticket);
                }
                (true, false) => {
                    self.remember(seen.name);
                    return Some(ticket);
                }
            }
        }
    }

    fn remember(&mut self, name: u64) {
        if self.remembered.insert(name) {
            self.gone.push_back(name);
        }
        while self.gone.len() > REMEMBERED.max(self.kept) {
            if let Some(name) = self.gone.pop_front() {
                self.remembered.remove(&name);
            }
        }
    }

    /// Void tickets are swept out once they are more than the others.
    pub fn sweep(&mut self, valid: impl Fn(Ticket) -> bool) {
        if self.probation.len() + self.main.len() > 2 * self.kept + 64 {
            self.probation.retain(|ticket| valid(*ticket));
            self.main.retain(|ticket| valid(*ticket));
        }
    }

    fn queue(&mut self, main: bool) -> &mut VecDeque<Ticket> {
        if main {
            &mut self.main
        } else {
            &mut self.probation
        }
    }

    fn of(&mut self, main: bool) -> &mut usize {
        if main {
            &mut self.main_bytes
        } else {
            &mut self.probation_bytes
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Ranks by slot; all tickets have the number 0.
    struct Slots(Vec<Option<Rank>>, Queues);

    impl Slots {
        fn add(&mut self, name: u64, bytes: usize) -> usize {
            let slot = self.0.len();
            let mut rank = Rank { name, bytes, ..Rank::default() };
            self.1.admit((slot, 0), &mut rank);
            self.0.push(Some(rank));
            slot
        }

        fn evict(&mut self) -> Option<usize> {
            let slots = &mut self.0;
            let (slot, _) = self.1.victim(|(slot, _), see| slots[slot].as_mut().map(see).is_some())?;
            self.drop(slot);
            Some(slot)
        }

        fn drop(&mut self, slot: usize) {
            if let Some(rank) = self.0[slot].take() {
                self.1.leave(&rank);
            }
        }
    }

    #[test]
    fn a_scan_does_not_push_out_what_is_used() {
        let mut slots = Slots(Vec::new(), Queues::default());
        let hot: Vec<usize> = (0..50).map(|name| slots.add(name, 10)).collect();
        for slot in &hot {
            slots.0[*slot].as_mut().unwrap().used();
        }
        for name in 1000..5000 {
            slots.add(name, 10);
            while slots.1.bytes() > 1000 {
                slots.evict().unwrap();
            }
            if name % 10 == 0 {
                hot.iter().for_each(|slot| slots.0[*slot].as_mut().unwrap().used());
            }
        }
        assert!(hot.iter().all(|slot| slots.0[*slot].is_some()));
    }

    #[test]
    fn what_comes_back_soon_needs_no_probation_and_bytes_are_exact() {
        let mut slots = Slots(Vec::new(), Queues::default());
        slots.add(1, 100);
        assert_eq!(slots.evict(), Some(0));
        let again = slots.add(1, 100);
        assert!(slots.0[again].unwrap().main);
        let other = slots.add(2, 50);
        let mut rank = slots.0[other].unwrap();
        slots.1.resize(&mut rank, 70);
        slots.0[other] = Some(rank);
        assert_eq!(slots.1.bytes(), 170);
        slots.drop(other);
        assert_eq!(slots.1.bytes(), 100);
        slots.drop(again);
        assert_eq!((slots.1.bytes(), slots.evict()), (0, None));
    }

    #[test]
    fn void_tickets_do_not_pile_up() {
        let mut slots = Slots(Vec::new(), Queues::default());
        for name in 0..10_000 {
            let slot = slots.add(name, 1);
            slots.drop(slot);
            let known = &slots.0;
            slots.1.sweep(|(slot, _)| known[slot].is_some());
        }
        assert!(slots.1.probation.len() <= 64);
    }
}
