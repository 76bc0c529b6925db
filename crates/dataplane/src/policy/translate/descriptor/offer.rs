//! What a policy makes of descriptors, wherever those come from.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::time::timeout_at;

use super::live::Live;
use super::Descriptors;
use crate::cluster::Cluster;
use crate::error::{Error, Kind};
use crate::shared::Shared;
use crate::snapshot;
use crate::worker::Worker;

type Compile<T> = Box<dyn Fn(&Descriptors) -> Result<T, Vec<String>> + Send + Sync>;

pub struct Offer<T>(Source<T>);

enum Source<T> {
    Known(Arc<T>),
    /// The service tells it.
    Told(Told<T>),
}

struct Told<T> {
    services: Vec<String>,
    timeout: Duration,
    compile: Compile<T>,
    /// The target's cluster first, then those of versions. Empty until the target is known.
    tellers: Vec<Teller<T>>,
}

/// Whose services describe themselves.
struct Teller<T> {
    cluster: Arc<Cluster>,
    live: Arc<Live>,
    /// What was made of what was told, with the count of that.
    made: ArcSwapOption<(u64, Result<Arc<T>, String>)>,
}

impl<T> Offer<T> {
    /// Errors: all that is wrong with descriptors of files.
    pub fn new(
        settings: &snapshot::Descriptors,
        services: &[String],
        compile: impl Fn(&Descriptors) -> Result<T, Vec<String>> + Send + Sync + 'static,
    ) -> Result<Self, Vec<String>> {
        let snapshot::Descriptors::Reflection(reflection) = settings else {
            let descriptors = Descriptors::load(settings, services)?;
            return Ok(Self(Source::Known(Arc::new(compile(&descriptors)?))));
        };
        Ok(Self(Source::Told(Told {
            services: services.to_vec(),
            timeout: Duration::from_millis(reflection.timeout_ms),
            compile: Box::new(compile),
            tellers: Vec::new(),
        })))
    }

    /// One more whose services are asked where they describe themselves; the first is the target's.
    pub fn comes_from(&mut self, cluster: &Arc<Cluster>, shared: &Shared) {
        if let Source::Told(told) = &mut self.0 {
            if told.tellers.iter().all(|teller| teller.cluster.name != cluster.name) {
                let live = shared.reflections.of(&cluster.name, &told.services);
                told.tellers.push(Teller { cluster: cluster.clone(), live, made: ArcSwapOption::empty() });
            }
        }
    }

    /// Asks the services, where they are to be asked: when a Program begins to serve.
    pub fn begin(&self, worker: &Rc<Worker>) {
        if let Source::Told(told) = &self.0 {
            told.tellers.iter().for_each(|teller| told.begin(teller, worker));
        }
    }

    /// What is known without waiting. `version`: the cluster that a version leads to in place of the target's.
    pub fn known(&self, version: Option<&Arc<Cluster>>) -> Option<Arc<T>> {
        match &self.0 {
            Source::Known(known) => Some(known.clone()),
            Source::Told(told) => told.made(told.teller(version)?).and_then(Result::ok),
        }
    }

    /// Waits for the service's word where there is none yet.
    ///
    /// Errors: `DescriptorsUnavailable` 503.
    pub async fn get(
        &self,
        worker: &Rc<Worker>,
        version: Option<&Arc<Cluster>>,
        deadline: Instant,
    ) -> Result<Arc<T>, Error> {
        let told = match &self.0 {
            Source::Known(known) => return Ok(known.clone()),
            Source::Told(told) => told,
        };
        let teller = told.teller(version).ok_or_else(|| unavailable("nobody can be asked".to_owned()))?;
        if let Some(made) = told.made(teller) {
            return made.map_err(unavailable);
        }
        let live = &teller.live;
        let mut ends = live.ends();
        told.begin(teller, worker);
        let until = deadline.min(Instant::now() + told.timeout);
        // Whoever fails has said so in the meantime, and another look comes by itself.
        if live.fault().is_none() {
            let _ended = timeout_at(until.into(), ends.changed()).await;
        }
        match told.made(teller) {
            Some(made) => made.map_err(unavailable),
            None => Err(unavailable(live.fault().unwrap_or_else(|| "it did not answer in time".to_owned()))),
        }
    }
}

impl<T> Told<T> {
    fn teller(&self, version: Option<&Arc<Cluster>>) -> Option<&Teller<T>> {
        match version {
            None => self.tellers.first(),
            Some(cluster) => self.tellers.iter().find(|teller| teller.cluster.name == cluster.name),
        }
    }

    fn begin(&self, teller: &Teller<T>, worker: &Rc<Worker>) {
        teller.live.begin(worker, &teller.cluster, &self.services, self.timeout);
    }

    fn made(&self, teller: &Teller<T>) -> Option<Result<Arc<T>, String>> {
        let made = teller.made.load();
        if let Some(made) = made.as_ref().filter(|made| made.0 == teller.live.generation()) {
            return Some(made.1.clone());
        }
        let (generation, descriptors) = teller.live.known()?;
        let outcome = (self.compile)(&descriptors).map(Arc::new).map_err(|wrong| wrong.join("; "));
        teller.made.store(Some(Arc::new((generation, outcome.clone()))));
        Some(outcome)
    }
}

fn unavailable(cause: String) -> Error {
    Error::new(Kind::DescriptorsUnavailable, "The service has not yet said what it offers").cause(cause)
}
