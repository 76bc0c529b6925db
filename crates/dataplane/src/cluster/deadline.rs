//! Deadlines of the exchanges of one worker, with one timer for all of them: it sleeps until the earliest deadline that
//! was known when it went to sleep, so an exchange that ends in time costs two list operations and no timer.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

#[derive(Default)]
pub struct Deadlines {
    entries: RefCell<Entries>,
    earlier: Notify,
}

#[derive(Default)]
struct Entries {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// When the watching task wakes; None while there is none.
    wakes: Option<Instant>,
}

enum Slot {
    Free,
    Waiting(Instant, Option<Waker>),
    Passed,
}

/// One deadline; forgotten when dropped.
pub struct Deadline {
    of: Rc<Deadlines>,
    slot: usize,
    patience: Option<Patience>,
}

/// How long a stream may go on: until a time, and for so long without a piece.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub until: Instant,
    pub idle: Option<Duration>,
}

impl Patience {
    /// When it ends if nothing comes after `heard`.
    pub(super) fn after(self, heard: Instant) -> Instant {
        self.idle.map_or(self.until, |idle| self.until.min(heard + idle))
    }
}

impl Deadlines {
    /// Must be called on a worker, whose local tasks watch the time.
    pub fn at(self: &Rc<Self>, at: Instant) -> Deadline {
        let mut entries = self.entries.borrow_mut();
        let entry = Slot::Waiting(at, None);
        let slot = match entries.free.pop() {
            Some(slot) => {
                entries.slots[slot] = entry;
                slot
            }
            None => {
                entries.slots.push(entry);
                entries.slots.len() - 1
            }
        };
        self.watch_until(at, &mut entries);
        Deadline { of: self.clone(), slot, patience: None }
    }

    fn watch_until(self: &Rc<Self>, at: Instant, entries: &mut Entries) {
        match entries.wakes {
            None => {
                entries.wakes = Some(at);
                tokio::task::spawn_local(watch(self.clone()));
            }
            Some(wakes) if at < wakes => {
                entries.wakes = Some(at);
                self.earlier.notify_one();
            }
            Some(_) => {}
        }
    }

    /// Wakes what has passed; the next time to look, or None when nothing waits.
    fn pass(&self, now: Instant) -> Option<Instant> {
        let mut entries = self.entries.borrow_mut();
        let mut next: Option<Instant> = None;
        for slot in &mut entries.slots {
            match slot {
                Slot::Waiting(at, waker) if *at <= now => {
                    if let Some(waker) = waker.take() {
                        waker.wake();
                    }
                    *slot = Slot::Passed;
                }
                Slot::Waiting(at, _) => next = Some(next.map_or(*at, |next| next.min(*at))),
                Slot::Free | Slot::Passed => {}
            }
        }
        entries.wakes = next;
        next
    }
}

async fn watch(deadlines: Rc<Deadlines>) {
    loop {
        let wakes = deadlines.entries.borrow().wakes;
        let Some(wakes) = wakes else { return };
        tokio::select! {
            () = tokio::time::sleep_until(wakes.into()) => {
                if deadlines.pass(Instant::now()).is_none() {
                    return;
                }
            }
            () = deadlines.earlier.notified() => {}
        }
    }
}

impl Deadline {
    /// From now on it is a stream's.
    pub fn follow(&mut self, patience: Patience) {
        self.patience = Some(patience);
        self.heard();
    }

    /// A piece of the stream has come.
    pub fn heard(&mut self) {
        self.heard_at(Instant::now());
    }

    /// A piece came at that time. False: that is too long ago, or this is no stream's.
    pub fn heard_at(&mut self, heard: Instant) -> bool {
        self.patience.is_some_and(|patience| self.put_off(patience.after(heard)))
    }

    /// Passes at this time instead; false if that is over. To be polled again.
    pub fn put_off(&mut self, at: Instant) -> bool {
        let mut entries = self.of.entries.borrow_mut();
        entries.slots[self.slot] = Slot::Waiting(at, None);
        self.of.watch_until(at, &mut entries);
        at > Instant::now()
    }

    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut entries = self.of.entries.borrow_mut();
        match &mut entries.slots[self.slot] {
            Slot::Waiting(_, Some(waker)) if waker.will_wake(context.waker()) => Poll::Pending,
            Slot::Waiting(_, waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Slot::Free | Slot::Passed => Poll::Ready(()),
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut entries = self.of.entries.borrow_mut();
        entries.slots[self.slot] = Slot::Free;
        entries.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_deadline_set_later_but_due_earlier_passes_first_and_dropped_ones_never_matter() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let deadlines = Rc::new(Deadlines::default());
                let now = Instant::now();
                let mut late = deadlines.at(now + Duration::from_secs(3600));
                drop(deadlines.at(now + Duration::from_millis(1)));
                let mut early = deadlines.at(now + Duration::from_millis(5));
                std::future::poll_fn(|context| {
                    assert!(late.poll(context).is_pending(), "the later one passed first");
                    early.poll(context)
                })
                .await;
            })
            .await;
    }
}
