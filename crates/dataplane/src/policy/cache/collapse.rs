//! One fetch for all who ask for the same at once. The first leads; the others follow it, on whichever worker they are.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::entry::Entry;
use super::filling::Filling;
use crate::error::Error;

/// What became of a fetch, for those who follow it.
#[derive(Clone)]
pub enum Outcome {
    /// It is stored, or still good.
    Entry(Arc<Entry>),
    /// It may be stored, and comes in.
    Filling(Arc<Filling>),
    /// It is for the one that asked alone: everybody asks for himself.
    Released,
    Failed(Error),
}

enum Phase {
    Led,
    /// The leader has gone: whoever comes first leads on.
    Abandoned,
    Over(Outcome),
}

struct State {
    phase: Phase,
    waiting: Vec<Waker>,
    /// Something like it was invalidated meanwhile: it is passed on and not stored.
    doomed: bool,
}

pub struct Flight(Mutex<State>);

impl Default for Flight {
    fn default() -> Self {
        Self(Mutex::new(State { phase: Phase::Led, waiting: Vec::new(), doomed: false }))
    }
}

/// Where a follower goes on.
pub enum Next {
    Lead(Lead),
    Take(Outcome),
}

impl Flight {
    pub fn doom(&self) {
        self.0.lock().doomed = true;
    }

    pub fn is_doomed(&self) -> bool {
        self.0.lock().doomed
    }

    pub async fn follow(self: Arc<Self>) -> Next {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(self: &Arc<Self>, context: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.0.lock();
        match &state.phase {
            Phase::Over(outcome) => Poll::Ready(Next::Take(outcome.clone())),
            Phase::Abandoned => {
                state.phase = Phase::Led;
                Poll::Ready(Next::Lead(Lead { flight: Some(self.clone()) }))
            }
            Phase::Led => {
                if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    state.waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    fn change(&self, phase: Phase) {
        let waiting = {
            let mut state = self.0.lock();
            state.phase = phase;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The duty to fetch. Dropped without a word, it passes to a follower.
pub struct Lead {
    flight: Option<Arc<Flight>>,
}

impl Lead {
    pub fn new(flight: Arc<Flight>) -> Self {
        Self { flight: Some(flight) }
    }

    pub fn is_doomed(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.is_doomed())
    }

    pub fn flight(&self) -> Option<&Arc<Flight>> {
        self.flight.as_ref()
    }

    pub fn end(mut self, outcome: Outcome) {
        if let Some(flight) = self.flight.take() {
            flight.change(Phase::Over(outcome));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.change(Phase::Abandoned);
        }
    }
}
