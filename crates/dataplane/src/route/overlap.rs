//! What is wrong between routes: two of equal precedence that could both answer one request, which is an error; and one
//! that can never answer because another always comes before it, which is a warning.
//!
//! Different hosts or paths never have equal precedence, so only routes of one place in the table can be in conflict. A
//! route can only be hidden by one of higher priority, since otherwise the narrower of two comes first.

use std::sync::Arc;

use super::pattern::Segment;
use super::table::RouteTable;
use super::trie::{precedence, Node, Trie};
use super::Route;
use crate::program::Report;

pub fn examine(table: &RouteTable, report: &mut Report) {
    let places = table.all_tries().flat_map(|trie| &trie.nodes).flat_map(|node| [&node.here, &node.rest]);
    let mut errors: Vec<String> = places.flat_map(|routes| conflicts(routes)).collect();
    // A pair with two hosts in common is in conflict once.
    errors.sort();
    errors.dedup();
    report.errors.append(&mut errors);
    let priorities = || table.routes().iter().map(|route| route.priority);
    if priorities().min() == priorities().max() {
        return;
    }
    for route in table.routes() {
        if let Some(hider) = hider(table, route) {
            report.warning(format!(
                "route '{}' can never match: route '{}' has the higher priority {} and matches all of its requests",
                route.id, hider.id, hider.priority
            ));
        }
    }
}

/// `routes` are those of one host and path, in precedence order.
fn conflicts(routes: &[Arc<Route>]) -> Vec<String> {
    let mut errors = Vec::new();
    for (index, one) in routes.iter().enumerate() {
        for two in routes[index + 1..].iter().take_while(|two| precedence(one) == precedence(two)) {
            if one.methods.intersects(&two.methods) && one.conditions.compatible(&two.conditions) {
                let (one, two) = if one.id < two.id { (one, two) } else { (two, one) };
                errors.push(format!(
                    "routes '{}' and '{}' can match the same request with equal precedence; \
                     tell them apart by methods, headers, query or priority",
                    one.id, two.id
                ));
            }
        }
    }
    errors
}

/// The route that hides `route` on its first host, if every one of its hosts is hidden.
fn hider<'t>(table: &'t RouteTable, route: &Route) -> Option<&'t Arc<Route>> {
    let on_host = |host: &str| {
        let mut found = None;
        for trie in table.tries_covering(host) {
            cover(trie, &trie.nodes[0], route.path.segments(), route, &mut found);
        }
        found
    };
    if route.hosts.is_empty() {
        return on_host("");
    }
    let hiders: Option<Vec<_>> = route.hosts.iter().map(|host| on_host(host)).collect();
    hiders?.into_iter().next()
}

/// Looks below `node` for a route of higher priority that matches whatever `route` matches.
fn cover<'t>(trie: &'t Trie, node: &'t Node, segments: &[Segment], route: &Route, found: &mut Option<&'t Arc<Route>>) {
    if found.is_some() || node.highest_priority <= route.priority {
        return;
    }
    let mut choose = |routes: &'t [Arc<Route>]| {
        *found = found.or(routes.iter().find(|other| {
            other.priority > route.priority
                && other.methods.covers(&route.methods)
                && other.conditions.implied_by(&route.conditions)
        }));
    };
    let Some((segment, below)) = segments.split_first() else { return choose(&node.here) };
    // `{rest...}` covers every way to go on from here.
    choose(&node.rest);
    let mut descend = |child: Option<u32>| {
        if let Some(child) = child {
            cover(trie, &trie.nodes[child as usize], below, route, found);
        }
    };
    match segment {
        Segment::Exact(text) => {
            descend(node.exact.get(text).copied());
            descend(node.param.filter(|_| !text.is_empty()));
        }
        Segment::Param => descend(node.param),
        Segment::Rest => {}
    }
}
