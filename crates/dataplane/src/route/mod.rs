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

use crate::policy::Policies;
use crate::program::Report;
use crate::snapshot;
use crate::target::Target;
use crate::telemetry::metrics::RouteMetrics;

pub use params::Params;
pub use table::{Found, RouteTable};

/// A match, its policies, its target, compiled.
pub struct Route {
    pub id: Arc<str>,
    pub priority: i32,
    /// Lower-case, without port or trailing dot; `*.example.com` for all below `example.com`; empty is any.
    pub hosts: Vec<Box<str>>,
    pub path: pattern::PathPattern,
    pub methods: method::MethodSet,
    pub conditions: condition::Conditions,
    pub policies: Policies,
    pub target: Target,
    pub metrics: Arc<RouteMetrics>,
}

/// The part of a route that decides what it matches; compiled before its policies and target, which may name it.
pub struct Matcher {
    pub hosts: Vec<Box<str>>,
    pub path: pattern::PathPattern,
    pub methods: method::MethodSet,
    pub conditions: condition::Conditions,
}

impl Matcher {
    /// Every mistake goes to `report`; None then.
    pub fn compile(id: &str, matches: &snapshot::Match, report: &mut Report) -> Option<Self> {
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
        if report.errors.len() > before {
            return None;
        }
        Some(Self { hosts, path: path.ok()?, methods: methods.ok()?, conditions: conditions.ok()? })
    }
}
