//! The way of one request through the trees: the more specific branch first, and back where it fails.

use std::sync::Arc;

use http::{header, request, HeaderMap, Method};

use super::method::{Accepts, MethodSet};
use super::params::Params;
use super::trie::Trie;
use super::Route;

/// One look-up, over the trees of one host after another.
pub(super) struct Search<'t, 'r> {
    path: &'r str,
    method: &'r Method,
    /// The method that a CORS preflight asks about.
    preflight: Option<Method>,
    headers: &'r HeaderMap,
    query: Option<&'r str>,
    params: Params,
    pub(super) best: Option<(&'t Arc<Route>, Params)>,
    /// Methods of the routes that match but for the method.
    pub(super) refused: MethodSet,
    /// Nodes looked at.
    pub(super) visits: usize,
}

impl<'t, 'r> Search<'t, 'r> {
    pub(super) fn new(path: &'r str, head: &'r request::Parts) -> Self {
        Self {
            path,
            method: &head.method,
            preflight: preflight(head),
            headers: &head.headers,
            query: head.uri.query(),
            params: Params::default(),
            best: None,
            refused: MethodSet::default(),
            visits: 0,
        }
    }

    fn may_improve(&self, priority: i32) -> bool {
        self.best.is_none_or(|(best, _)| priority > best.priority)
    }

    /// `at` is where the next segment begins; beyond the path when there is none.
    pub(super) fn descend(&mut self, trie: &'t Trie, node: usize, at: usize) {
        let node = &trie.nodes[node];
        if !self.may_improve(node.highest_priority) {
            return;
        }
        self.visits += 1;
        let Some(rest) = self.path.get(at..) else {
            return self.choose(&node.here);
        };
        let end = memchr::memchr(b'/', rest.as_bytes()).map_or(self.path.len(), |slash| at + slash);
        let segment = &self.path[at..end];
        if let Some(child) = node.exact.get(segment) {
            self.descend(trie, *child as usize, end + 1);
        }
        if let Some(child) = node.param.filter(|_| !segment.is_empty()) {
            self.params.push(at, end);
            self.descend(trie, child as usize, end + 1);
            self.params.pop();
        }
        if !node.rest.is_empty() {
            self.params.push(at, self.path.len());
            self.choose(&node.rest);
            self.params.pop();
        }
    }

    /// Among routes of one path, in precedence order: one that names the method goes before one that merely implies it.
    fn choose(&mut self, routes: &'t [Arc<Route>]) {
        let mut implied: Option<&'t Arc<Route>> = None;
        for route in routes {
            let outranked = implied.is_some_and(|implied| implied.priority > route.priority);
            if outranked || !self.may_improve(route.priority) {
                break;
            }
            match self.judge(route) {
                Judgement::Explicit => {
                    self.best = Some((route, self.bound(route)));
                    return;
                }
                Judgement::Implied => implied = implied.or(Some(route)),
                Judgement::WrongMethod => self.refused.insert_all(&route.methods),
                Judgement::WrongCondition => {}
            }
        }
        if let Some(route) = implied {
            self.best = Some((route, self.bound(route)));
        }
    }

    /// The values of all the route's parameters: that of a version may be left out of a path.
    fn bound(&self, route: &Route) -> Params {
        match route.version.filter(|_| self.params.len() < route.path.names().len()) {
            Some(version) => self.params.with_nothing_at(version.param),
            None => self.params,
        }
    }

    fn judge(&self, route: &Route) -> Judgement {
        if !route.conditions.query_holds(self.query) {
            return Judgement::WrongCondition;
        }
        let version = || match &route.conditions.versions {
            Some(_) => route.conditions.version_holds(
                self.headers,
                self.query,
                route.version_text(&self.bound(route), self.path),
            ),
            None => true,
        };
        let headers_hold = route.conditions.headers_hold(self.headers) && version();
        match route.methods.accepts(self.method) {
            Accepts::Explicitly if headers_hold => return Judgement::Explicit,
            Accepts::Implicitly if headers_hold => return Judgement::Implied,
            _ => {}
        }
        // A preflight stands for the request that would follow. It does not carry that request's headers.
        if let Some(method) = self.preflight.as_ref().filter(|_| route.policies.cors.is_some()) {
            if route.methods.accepts(method) != Accepts::No {
                return Judgement::Implied;
            }
        }
        match headers_hold {
            true => Judgement::WrongMethod,
            false => Judgement::WrongCondition,
        }
    }
}

enum Judgement {
    Explicit,
    Implied,
    WrongMethod,
    WrongCondition,
}

/// The method that a CORS preflight asks about (Fetch §4.8); None when the request is no preflight.
pub(crate) fn preflight(head: &request::Parts) -> Option<Method> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(header::ORIGIN) {
        return None;
    }
    Method::from_bytes(head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}
