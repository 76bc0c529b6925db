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
    /// What was made of what was told, with the count of that.
    made: ArcSwapOption<(u64, Result<Arc<T>, String>)>,
    /// None until the target is known.
    from: Option<(Arc<Cluster>, Arc<Live>)>,
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
            made: ArcSwapOption::empty(),
            from: None,
        })))
    }

    /// Whose services are asked where they describe themselves.
    pub fn comes_from(&mut self, cluster: &Arc<Cluster>, shared: &Shared) {
        if let Source::Told(told) = &mut self.0 {
            told.from = Some((cluster.clone(), shared.reflections.of(&cluster.name, &told.services)));
        }
    }

    /// Asks the service, where it is to be asked: when a Program begins to serve.
    pub fn begin(&self, worker: &Rc<Worker>) {
        if let Source::Told(Told { from: Some((cluster, live)), services, timeout, .. }) = &self.0 {
            live.begin(worker, cluster, services, *timeout);
        }
    }

    /// What is known without waiting.
    pub fn known(&self) -> Option<Arc<T>> {
        match &self.0 {
            Source::Known(known) => Some(known.clone()),
            Source::Told(told) => told.made().and_then(Result::ok),
        }
    }

    /// Waits for the service's word where there is none yet.
    ///
    /// Errors: `DescriptorsUnavailable` 503.
    pub async fn get(&self, worker: &Rc<Worker>, deadline: Instant) -> Result<Arc<T>, Error> {
        let told = match &self.0 {
            Source::Known(known) => return Ok(known.clone()),
            Source::Told(told) => told,
        };
        if let Some(made) = told.made() {
            return made.map_err(unavailable);
        }
        if let Some((_, live)) = &told.from {
            let mut ends = live.ends();
            self.begin(worker);
            let until = deadline.min(Instant::now() + told.timeout);
            // Whoever fails has said so in the meantime, and another look comes by itself.
            if live.fault().is_none() {
                let _ended = timeout_at(until.into(), ends.changed()).await;
            }
            if let Some(made) = told.made() {
                return made.map_err(unavailable);
            }
            return Err(unavailable(live.fault().unwrap_or_else(|| "it did not answer in time".to_owned())));
        }
        Err(unavailable("nobody can be asked".to_owned()))
    }
}

impl<T> Told<T> {
    fn made(&self) -> Option<Result<Arc<T>, String>> {
        let (_, live) = self.from.as_ref()?;
        let made = self.made.load();
        if let Some(made) = made.as_ref().filter(|made| made.0 == live.generation()) {
            return Some(made.1.clone());
        }
        let (generation, descriptors) = live.known()?;
        let outcome = (self.compile)(&descriptors).map(Arc::new).map_err(|wrong| wrong.join("; "));
        self.made.store(Some(Arc::new((generation, outcome.clone()))));
        Some(outcome)
    }
}

fn unavailable(cause: String) -> Error {
    Error::new(Kind::DescriptorsUnavailable, "The service has not yet said what it offers").cause(cause)
}
