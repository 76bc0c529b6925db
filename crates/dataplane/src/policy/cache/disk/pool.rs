//! The threads on which files are read and written: never a worker's own. What is about one file happens in its order.

use std::collections::VecDeque;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};

const THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    over: bool,
}

/// Its queues are bounded by what they are for: a block of each client that reads, two of each response that is being
/// written, one deletion of each that is stored.
pub struct Pool(Box<[Arc<Queue>]>);

impl Pool {
    pub fn start() -> io::Result<Self> {
        let mut queues = Vec::new();
        for index in 0..THREADS {
            let queue = Arc::<Queue>::default();
            queues.push(queue.clone());
            thread::Builder::new().name(format!("cache-disk-{index}")).spawn(move || queue.work())?;
        }
        Ok(Self(queues.into()))
    }

    /// Soon, after all that was asked for this file before.
    pub fn run(&self, file: u64, job: impl FnOnce() + Send + 'static) {
        if let Some(queue) = self.0.get(file as usize % THREADS) {
            queue.state.lock().jobs.push_back(Box::new(job));
            queue.woken.notify_one();
        }
    }

    /// What it is given with is dropped once all has been done that was asked for so far.
    pub fn after_all(&self, witness: impl Clone + Send + 'static) {
        for file in 0..THREADS as u64 {
            let witness = witness.clone();
            self.run(file, move || drop(witness));
        }
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let job = {
                let mut state = self.state.lock();
                loop {
                    match state.jobs.pop_front() {
                        Some(job) => break job,
                        None if state.over => return,
                        None => self.woken.wait(&mut state),
                    }
                }
            };
            // Whoever waits for its answer is told by what it drops.
            let _panicked = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

/// What waits is still done.
impl Drop for Pool {
    fn drop(&mut self) {
        for queue in &self.0 {
            queue.state.lock().over = true;
            queue.woken.notify_one();
        }
    }
}
