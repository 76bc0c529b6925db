//! What a service said of itself, and when it is asked again. Survives a new Program that asks the same.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::set::Files;
use super::{reflection, Descriptors};
use crate::cluster::Cluster;
use crate::worker::Worker;

/// Between two looks at a service that could not be asked; doubled each time.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Whom to ask for what: the cluster's name, and the names of services.
type Identity = (Arc<str>, Vec<String>);

#[derive(Default)]
pub struct Reflections(Mutex<FxHashMap<Identity, Arc<Live>>>);

impl Reflections {
    pub(super) fn of(&self, cluster: &Arc<str>, services: &[String]) -> Arc<Live> {
        let identity = (cluster.clone(), services.to_vec());
        let mut lives = self.0.lock();
        // Those that no Program names any more.
        lives.retain(|known, live| *known == identity || Arc::strong_count(live) > 1);
        lives.entry(identity).or_default().clone()
    }
}

pub(super) struct Live {
    known: ArcSwapOption<Descriptors>,
    /// Counts what was known; 0: nothing yet.
    generation: AtomicU64,
    files: Mutex<Option<Files>>,
    /// Counts ends of looks.
    looks: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: bool,
    /// Why the last look found nothing.
    fault: Option<String>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            known: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            files: Mutex::default(),
            looks: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }
}

impl Live {
    /// What is known now, and its count.
    pub(super) fn known(&self) -> Option<(u64, Arc<Descriptors>)> {
        let generation = self.generation.load(Ordering::Acquire);
        self.known.load_full().map(|known| (generation, known))
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.state.lock().fault.clone()
    }

    /// Until the end of a look.
    pub(super) fn ends(&self) -> watch::Receiver<u64> {
        self.looks.subscribe()
    }

    /// Begins to look, unless somebody does. What fails is repeated for as long as some Program wants to know.
    pub(super) fn begin(
        self: &Arc<Self>,
        worker: &Rc<Worker>,
        cluster: &Arc<Cluster>,
        services: &[String],
        timeout: Duration,
    ) {
        if std::mem::replace(&mut self.state.lock().under_way, true) {
            return;
        }
        let (live, worker, cluster, services) =
            (Arc::downgrade(self), worker.clone(), cluster.clone(), services.to_vec());
        tokio::task::spawn_local(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let looked = reflection::look(&worker, &cluster, &services, Instant::now() + timeout).await;
                // The table of all that are known holds one.
                let Some(live) = live.upgrade().filter(|live| Arc::strong_count(live) > 2) else { return };
                if live.learn(looked) {
                    return;
                }
                drop(live);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    fn learn(&self, looked: Result<(Files, Descriptors), String>) -> bool {
        let learned = looked.is_ok();
        let mut state = self.state.lock();
        match looked {
            Ok((files, descriptors)) => {
                let mut known = self.files.lock();
                if known.as_ref() != Some(&files) {
                    *known = Some(files);
                    self.known.store(Some(Arc::new(descriptors)));
                    self.generation.fetch_add(1, Ordering::Release);
                }
                *state = State::default();
            }
            Err(fault) => state.fault = Some(fault),
        }
        drop(state);
        self.looks.send_modify(|count| *count = count.wrapping_add(1));
        learned
    }
}
