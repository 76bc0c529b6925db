//! APIs: groups of routes whose versions are told apart by a marker in the request.

pub mod chain;
pub mod examples;
pub mod lifecycle;
pub mod marker;
mod media_type;
mod report;
pub mod usage;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::HeaderMap;
use jiff::civil::Date;
use rustc_hash::FxHashMap;

use crate::cluster::Cluster;
use crate::program::Report;
use crate::snapshot::{self, Snapshot};
use crate::telemetry::metrics::Metrics;
use chain::Step;
use lifecycle::Lifecycle;
use marker::{Marked, Marker};
use usage::{ApiUse, VersionUse};

pub use report::report;

/// Steps from one version to the last.
pub const STEPS: usize = 16;

pub struct Api {
    pub name: Arc<str>,
    pub marker: Marker,
    pub strip: bool,
    pub unknown: u16,
    pub versions: Vec<Version>,
    pub used: Arc<ApiUse>,
    by_name: FxHashMap<Box<str>, usize>,
    default: Option<usize>,
    fallback: Option<usize>,
    marker_over_pin: bool,
    /// By consumer, those of the configuration.
    pins: FxHashMap<Box<str>, usize>,
}

pub struct Version {
    pub name: Arc<str>,
    pub lifecycle: Lifecycle,
    pub successor: Option<usize>,
    /// Where routes that lead to a cluster lead to for it.
    pub cluster: Option<Arc<Cluster>>,
    /// The version that it is made of, and how.
    pub step: Option<(usize, Arc<Step>)>,
    pub openapi: Option<String>,
    pub used: Arc<VersionUse>,
}

/// The version of a request.
#[derive(Clone)]
pub struct Chosen {
    pub api: Arc<Api>,
    pub index: usize,
    /// What its marker says, where that is a version.
    pub told: Option<usize>,
    pub why: Why,
    /// Who asks has a part in it.
    pub personal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Marker,
    Route,
    Default,
    Fallback,
    Pin,
}

impl Chosen {
    pub fn version(&self) -> &Version {
        &self.api.versions[self.index]
    }

    /// For people.
    pub fn why(&self) -> String {
        match self.why {
            Why::Marker => self.api.marker.describe(),
            Why::Route => "the route's path".to_owned(),
            Why::Default => "the default, since the request names none".to_owned(),
            Why::Fallback => "the fallback, since there is no such version".to_owned(),
            Why::Pin => "its consumer is pinned to it".to_owned(),
        }
    }
}

/// What APIs may refer to while they are compiled.
pub struct Context<'a> {
    pub snapshot: &'a Snapshot,
    pub clusters: &'a HashMap<Arc<str>, Arc<Cluster>>,
    pub metrics: &'a Metrics,
}

pub type Apis = BTreeMap<Arc<str>, Arc<Api>>;

/// All of them; every mistake goes to `report`.
pub fn compile(context: &Context<'_>, report: &mut Report) -> Apis {
    let apis = context.snapshot.apis.iter().filter_map(|(name, settings)| {
        let api = Api::compile(name, settings, context, report)?;
        Some((api.name.clone(), Arc::new(api)))
    });
    apis.collect()
}

impl Api {
    fn compile(name: &str, settings: &snapshot::Api, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let mut wrong = Vec::new();
        let name: Arc<str> = name.into();
        let used = context.metrics.api(&name);
        let marker = Marker::compile(&settings.marker).map_err(|message| wrong.push(format!("version: {message}")));
        let mut all: Vec<&snapshot::ApiVersion> = settings.versions.iter().collect();
        if matches!(marker, Ok(Marker::Date(_))) {
            let undated = all.iter().filter(|version| !is_date(&version.name));
            wrong
                .extend(undated.map(|version| format!("version '{}': it is no date such as 2026-01-31", version.name)));
            all.sort_by(|one, two| one.name.cmp(&two.name));
        }
        let indexes = all.iter().enumerate().map(|(index, version)| (version.name.as_str().into(), index));
        let by_name: FxHashMap<Box<str>, usize> = indexes.collect();
        let mut find = |place: &str, version: Option<&String>| {
            let version = version?;
            let found = by_name.get(version.as_str()).copied();
            if found.is_none() {
                wrong.push(format!("{place}: there is no version '{version}'"));
            }
            found
        };
        let default = find("default", settings.default.as_ref());
        let fallback = find("fallback", settings.fallback.as_ref());
        let mut pins = FxHashMap::default();
        for (consumer, pinned) in &context.snapshot.consumers {
            let pin = find(&format!("the pin of the consumer '{consumer}'"), pinned.versions.get(&*name));
            pins.extend(pin.map(|index| (Box::from(consumer.as_str()), index)));
        }
        let following: Vec<(Option<usize>, Option<usize>)> = all
            .iter()
            .map(|version| {
                let successor = find(&format!("version '{}': successor", version.name), version.successor.as_ref());
                let to = version.step.as_ref().map(|step| &step.to);
                (successor, find(&format!("version '{}': step: to", version.name), to))
            })
            .collect();
        let versions: Vec<Version> = all
            .iter()
            .zip(&following)
            .map(|(settings, (successor, to))| {
                let mut mistakes = Vec::new();
                let version = Version::compile(settings, (*successor).or(*to), *to, context, &used, &mut mistakes);
                wrong.extend(mistakes.iter().map(|mistake| format!("version '{}': {mistake}", settings.name)));
                version
            })
            .collect();
        if versions.len() != by_name.len() {
            wrong.push("two versions have one name".to_owned());
        }
        let ends = |index: usize| {
            let next = |index: &usize| versions[*index].step.as_ref().map(|(to, _)| *to);
            std::iter::successors(Some(index), next).nth(STEPS + 1).is_none()
        };
        let endless = (0..versions.len()).find(|index| !ends(*index));
        wrong.extend(endless.map(|index| {
            format!("version '{}': step: it leads to no last version within {STEPS} steps", versions[index].name)
        }));
        let is_right = wrong.is_empty();
        wrong.into_iter().for_each(|message| report.error(format!("api '{name}': {message}")));
        is_right.then_some(())?;
        Some(Self {
            name,
            marker: marker.ok()?,
            strip: settings.strip,
            unknown: settings.unknown,
            versions,
            used,
            by_name,
            default,
            fallback,
            marker_over_pin: settings.marker_over_pin,
            pins,
        })
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The latest version not after a date; they are in the order of their dates.
    pub fn at(&self, date: &str) -> Option<usize> {
        let after = self.versions.partition_point(|version| *version.name <= *date);
        after.checked_sub(1).filter(|_| is_date(date))
    }

    /// What a request says of its version. `segment`: of the path, empty where it has none.
    pub fn read(&self, headers: &HeaderMap, query: Option<&str>, segment: &str) -> Marked {
        self.marker.read(self, headers, query, segment)
    }

    /// None: there is no such version. `pin`: what its consumer is pinned to.
    pub fn choose(&self, marked: Marked, pin: Option<Marked>) -> Option<(usize, Why)> {
        match (marked, pin) {
            (_, Some(Marked::Version(index))) if marked == Marked::Nothing || !self.marker_over_pin => {
                Some((index, Why::Pin))
            }
            (_, Some(Marked::Unknown)) if marked == Marked::Nothing || !self.marker_over_pin => None,
            (Marked::Version(index), _) => Some((index, Why::Marker)),
            (Marked::Nothing, _) => self.default.map(|index| (index, Why::Default)),
            (Marked::Unknown, _) => self.fallback.map(|index| (index, Why::Fallback)),
        }
    }

    /// Of a consumer of the configuration.
    pub fn pin(&self, consumer: &str) -> Option<Marked> {
        self.pins.get(consumer).map(|index| Marked::Version(*index))
    }

    pub fn pins_come_first(&self) -> bool {
        !self.marker_over_pin
    }

    pub fn has_pins(&self) -> bool {
        !self.pins.is_empty()
    }

    pub fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// For people: those that are not retired.
    pub fn names(&self, now: u64) -> Vec<&str> {
        let open = self.versions.iter().filter(|version| version.lifecycle.state(now) != lifecycle::State::Retired);
        open.map(|version| &*version.name).collect()
    }
}

impl Version {
    fn compile(
        settings: &snapshot::ApiVersion,
        successor: Option<usize>,
        to: Option<usize>,
        context: &Context<'_>,
        used: &ApiUse,
        wrong: &mut Vec<String>,
    ) -> Self {
        let cluster = settings.cluster.as_deref().and_then(|cluster| {
            let found = context.clusters.get(cluster).cloned();
            // One that exists but does not compile has been reported already.
            if found.is_none() && !context.snapshot.clusters.contains_key(cluster) {
                wrong.push(format!("cluster: there is no cluster '{cluster}'"));
            }
            found
        });
        if settings.cluster.is_some() && settings.step.is_some() {
            wrong.push("step: it has a cluster of its own, so it becomes no other version".to_owned());
        }
        let step = settings.step.as_ref().map(|step| Arc::new(Step::compile(&step.changes, "step: ", wrong)));
        let lifecycle = Lifecycle::compile(settings).map_err(|message| wrong.push(message)).unwrap_or_default();
        let name: Arc<str> = settings.name.as_str().into();
        Self {
            lifecycle,
            successor,
            cluster,
            step: to.zip(step),
            openapi: settings.openapi.clone(),
            used: used.version(&name),
            name,
        }
    }
}

/// `YYYY-MM-DD`, of which two are compared as texts; a day that there is.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    text.len() == 10 && digits && text.parse::<Date>().is_ok()
}
