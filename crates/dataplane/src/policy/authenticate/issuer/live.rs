//! What the control plane fetches of an issuer while the gateway runs: its keys, and where its services are. Survives a
//! new Program that has the same issuer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::endpoint::Endpoints;
use crate::callout::{CalloutPort, Notice};
use crate::keys::KeySet;
use crate::snapshot;

/// Between two times that tokens with unknown keys make the control plane fetch: whoever invents names of keys must not
/// make us a burden for the issuer.
pub const AGAIN: Duration = Duration::from_secs(10);
/// How long a request waits for keys, where its own time does not end before.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A fetch that has not come to its end in this time is taken for lost.
const LOST: Duration = Duration::from_secs(60);

/// By what makes an issuer the same: its name and where its keys come from.
#[derive(Default)]
pub struct Lives(Mutex<FxHashMap<String, Arc<Live>>>);

impl Lives {
    pub fn of(&self, identity: &str) -> Arc<Live> {
        let mut lives = self.0.lock();
        // Those that no Program names any more.
        lives.retain(|known, live| known == identity || Arc::strong_count(live) > 1);
        lives.entry(identity.to_owned()).or_default().clone()
    }
}

pub struct Live {
    known: ArcSwapOption<Known>,
    /// Counts sets of keys; 0: none yet.
    generation: AtomicU64,
    /// Counts ends of fetches; whether the last one failed.
    fetches: watch::Sender<(u64, bool)>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: Option<Instant>,
    under_way: bool,
}

pub struct Known {
    pub keys: KeySet,
    pub endpoints: Endpoints,
    /// To see whether the next set is another.
    text: String,
}

/// How waiting for keys ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// What the issuer publishes now is known.
    Fresh,
    /// They were fetched a moment ago, and are not fetched again yet.
    Lately,
    /// The issuer does not answer, or not in time.
    Failed,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            known: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            fetches: watch::Sender::new((0, false)),
            asked: Mutex::default(),
        }
    }
}

impl Live {
    pub fn known(&self) -> Option<Arc<Known>> {
        self.known.load_full()
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What was fetched, in place of what was known. On an error that stays.
    pub fn update(&self, fetched: &snapshot::Fetched) -> Result<(), String> {
        let keys = match &fetched.jwks {
            Some(text) => KeySet::parse(text.as_bytes()).map_err(|wrong| format!("jwks: {wrong}"))?,
            None => KeySet::default(),
        };
        let endpoints = Endpoints::new(&fetched.endpoints)?;
        let text = fetched.jwks.clone().unwrap_or_default();
        let same = self.known.load().as_ref().is_some_and(|known| known.text == text);
        self.known.store(Some(Arc::new(Known { keys, endpoints, text })));
        if !same && self.generation.fetch_add(1, Ordering::Release) == 0 {
            // Who waited for the first keys has not met an unknown one.
            self.asked.lock().last = None;
        }
        self.end(false);
        Ok(())
    }

    /// Nothing could be fetched: what was known stays, and whoever waits goes on.
    pub fn failed(&self) {
        self.end(true);
    }

    fn end(&self, failed: bool) {
        self.asked.lock().under_way = false;
        self.fetches.send_modify(|(count, last)| (*count, *last) = (count.wrapping_add(1), failed));
    }

    /// Has the keys fetched, if that has not been done lately, and waits for them.
    pub async fn fetch(&self, issuer: &str, port: &CalloutPort, deadline: Instant) -> Fetched {
        let Some(mut ended) = self.ask(issuer, port) else {
            let failed = self.fetches.borrow().1 || self.generation() == 0;
            return if failed { Fetched::Failed } else { Fetched::Lately };
        };
        let until = deadline.min(Instant::now() + PATIENCE);
        match timeout_at(until.into(), ended.changed()).await {
            Ok(Ok(())) if !ended.borrow().1 => Fetched::Fresh,
            _ => Fetched::Failed,
        }
    }

    fn ask(&self, issuer: &str, port: &CalloutPort) -> Option<watch::Receiver<(u64, bool)>> {
        let mut asked = self.asked.lock();
        // Before the lock is given back, so that no end can be missed.
        let ended = self.fetches.subscribe();
        let since = asked.last.map(|last| last.elapsed());
        if asked.under_way && since.is_some_and(|since| since < LOST) {
            return Some(ended);
        }
        if since.is_some_and(|since| since < AGAIN) {
            return None;
        }
        *asked = Asked { last: Some(Instant::now()), under_way: true };
        port.push(Notice::KeysWanted { issuer: issuer.to_owned(), first: self.generation() == 0 });
        Some(ended)
    }
}
