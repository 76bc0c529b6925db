//! The callouts of a worker that wait for their answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::{Answer, Notice};
use crate::error::{Error, Kind};
use crate::server::Server;
use crate::worker::Worker;

/// What is under way between a worker and the control plane.
#[derive(Default)]
pub struct Pending {
    made: Cell<u64>,
    callouts: RefCell<FxHashMap<u64, oneshot::Sender<Answer>>>,
    pub(super) calls: RefCell<FxHashMap<u64, Option<AbortHandle>>>,
}

/// Gives up the callout when the exchange is dropped: the client went away.
struct Place {
    worker: Rc<Worker>,
    callout: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let port = &self.worker.shared.callouts;
        port.leave();
        if self.worker.pending.callouts.borrow_mut().remove(&self.callout).is_some() {
            port.push(Notice::Abandoned { callout: self.callout });
        }
    }
}

/// Asks and waits for the answer until the deadline. `notice` gets the callout's id.
pub async fn ask(worker: &Rc<Worker>, deadline: Instant, notice: impl FnOnce(u64) -> Notice) -> Result<Answer, Error> {
    let (port, pending) = (&worker.shared.callouts, &worker.pending);
    port.enter()?;
    let number = pending.made.get() + 1;
    pending.made.set(number);
    let callout = number * worker.shared.workers as u64 + worker.index as u64;
    let (sender, answer) = oneshot::channel();
    pending.callouts.borrow_mut().insert(callout, sender);
    let _place = Place { worker: worker.clone(), callout };
    port.push(notice(callout));
    match timeout_at(deadline.into(), answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Error::new(Kind::EngineUnavailable, "The workflow engine has stopped")),
        Err(_) => Err(Error::new(Kind::DeadlineExceeded, "The workflow engine did not answer in time")),
    }
}

/// Hands answers to the workers that wait for them, one batch for each. Those that nobody waits for are dropped.
pub fn answer(server: &Server, answers: Vec<(u64, Answer)>) {
    let workers = server.workers();
    let mut batches: Vec<Vec<(u64, Answer)>> = (0..workers).map(|_| Vec::new()).collect();
    for (callout, answer) in answers {
        batches[callout as usize % workers].push((callout, answer));
    }
    for (worker, batch) in batches.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
        let job = move |worker: &Rc<Worker>| {
            let mut callouts = worker.pending.callouts.borrow_mut();
            for (callout, answer) in batch {
                if let Some(waiting) = callouts.remove(&callout) {
                    let _gone = waiting.send(answer);
                }
            }
        };
        server.run(worker, Box::new(job));
    }
}
