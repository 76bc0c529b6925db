//! Host, path, method, headers, query → the route that answers.
//!
//! Precedence is by specificity, never by order: exact host before wildcard before any; exact segment before `{param}`
//! before `{rest...}`, from the left; then a method condition, then more header conditions, then more query conditions.
//! An explicit priority wins over all of that.

pub mod condition;
pub mod host;
pub mod method;
pub mod overlap;
pub mod params;
pub mod path;
pub mod pattern;
pub(crate) mod search;
pub mod table;
pub mod template;
pub(crate) mod trie;

use std::sync::Arc;

use crate::api::marker::Marker;
use crate::api::Api;
use crate::policy::Policies;
use crate::program::Report;
use crate::snapshot;
use crate::target::Target;
use crate::telemetry::metrics::RouteMetrics;

pub use params::Params;
pub use table::{Found, RouteTable};

/// The parameter of a path that names a version.
const VERSION: &str = "version";

/// A match, its policies, its target, compiled.
pub struct Route {
    pub id: Arc<str>,
    pub priority: i32,
    /// Lower-case, without port or trailing dot; `*.example.com` for all below `example.com`; empty is any.
    pub hosts: Vec<Box<str>>,
    pub path: pattern::PathPattern,
    /// The segment `{version}`, where versions of its API are told apart by it.
    pub version: Option<VersionSegment>,
    /// The path without that, where there is a default.
    pub bare: Option<pattern::PathPattern>,
    pub methods: method::MethodSet,
    pub conditions: condition::Conditions,
    pub policies: Policies,
    pub target: Target,
    pub metrics: Arc<RouteMetrics>,
}

/// By its position among the path's segments, and among its parameters.
#[derive(Debug, Clone, Copy)]
pub struct VersionSegment {
    pub segment: usize,
    pub param: usize,
}

impl Route {
    /// What its path says of a version; empty where it says nothing.
    pub fn version_text<'p>(&self, params: &Params, path: &'p str) -> &'p str {
        self.version.and_then(|version| params.at(version.param, path)).unwrap_or_default()
    }
}

/// The part of a route that decides what it matches; compiled before its policies and target, which may name it.
pub struct Matcher {
    pub hosts: Vec<Box<str>>,
    pub path: pattern::PathPattern,
    pub version: Option<VersionSegment>,
    pub bare: Option<pattern::PathPattern>,
    pub methods: method::MethodSet,
    pub conditions: condition::Conditions,
}

impl Matcher {
    /// Every mistake goes to `report`; None then.
    pub fn compile(id: &str, matches: &snapshot::Match, api: Option<&Arc<Api>>, report: &mut Report) -> Option<Self> {
        let before = report.errors.len();
        let place = |message: String| format!("route '{id}': match: {message}");
        let mut hosts: Vec<Box<str>> = Vec::new();
        for host in &matches.hosts {
            match host::normal_host(host) {
                Ok(host) if hosts.contains(&host) => report.error(place(format!("the host '{host}' is named twice"))),
                Ok(host) => hosts.push(host),
                Err(message) => report.error(place(message)),
            }
        }
        let path = pattern::PathPattern::compile(&matches.path).map_err(|message| report.error(place(message)));
        let methods = method::MethodSet::compile(&matches.methods).map_err(|message| report.error(place(message)));
        let conditions = condition::Conditions::compile(&matches.headers, &matches.query)
            .map_err(|message| report.error(place(message)));
        let versions = api.filter(|_| !matches.versions.is_empty());
        let versions = versions.map(|api| condition::Versions::compile(api, &matches.versions)).transpose();
        let versions = versions.map_err(|message| report.error(place(message)));
        if report.errors.len() > before {
            return None;
        }
        let (path, mut conditions) = (path.ok()?, conditions.ok()?);
        conditions.versions = versions.ok()?;
        let version = api.filter(|api| matches!(api.marker, Marker::Path)).and_then(|_| path.place_of(VERSION));
        let version = version.map(|(segment, param)| VersionSegment { segment, param });
        let bare = version.filter(|_| api.is_some_and(|api| api.has_default()));
        let bare = bare.and_then(|at| path.without(at.segment, at.param));
        Some(Self { hosts, path, version, bare, methods: methods.ok()?, conditions })
    }
}
