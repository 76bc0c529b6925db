//! The index over all routes: host → path, segment by segment → method and conditions.
//!
//! A look-up goes down the more specific branch first and comes back where it fails. It visits only nodes whose segments
//! match the path, each at most once, so its cost depends on the path and on how many patterns overlap it, not on how
//! many routes there are. A branch that cannot hold a route of higher priority than the one found is not entered.

use std::sync::Arc;

use http::{request, HeaderValue};
use rustc_hash::FxHashMap;

use super::host::{without_port, MAX_HOST};
use super::params::Params;
use super::search::Search;
use super::trie::Trie;
use super::Route;

/// What a look-up found.
pub enum Found<'p> {
    Route {
        route: &'p Arc<Route>,
        params: Params,
    },
    /// A path matches, its methods do not. `Allow` includes OPTIONS, which the proxy answers itself with 204.
    MethodNotAllowed {
        allow: HeaderValue,
    },
    NotFound,
}

#[derive(Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    exact: FxHashMap<Box<str>, Trie>,
    /// By what follows `*.`.
    wildcard: FxHashMap<Box<str>, Trie>,
    any: Trie,
}

impl RouteTable {
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by(|one, two| one.id.cmp(&two.id));
        let mut table = Self::default();
        for route in &routes {
            if route.hosts.is_empty() {
                table.any.insert(route);
            }
            for host in &route.hosts {
                let trie = match host.strip_prefix("*.") {
                    Some(suffix) => table.wildcard.entry(suffix.into()).or_default(),
                    None => table.exact.entry(host.clone()).or_default(),
                };
                trie.insert(route);
            }
        }
        table.routes = routes;
        for trie in table.exact.values_mut().chain(table.wildcard.values_mut()).chain([&mut table.any]) {
            trie.sort();
        }
        table
    }

    /// All routes, by id.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Who answers. `host` is an authority as received, `path` is normalised, `head` gives method, headers and query.
    pub fn find(&self, host: &str, path: &str, head: &request::Parts) -> Found<'_> {
        self.find_counted(host, path, head).0
    }

    /// With the number of nodes visited.
    fn find_counted(&self, host: &str, path: &str, head: &request::Parts) -> (Found<'_>, usize) {
        let mut search = Search::new(path, head);
        for trie in self.tries(&mut [0; MAX_HOST], host) {
            search.descend(trie, 0, 1);
        }
        let visits = search.visits;
        let found = match search.best {
            Some((route, params)) => Found::Route { route, params },
            None if search.refused.is_any() => Found::NotFound,
            None => Found::MethodNotAllowed { allow: search.refused.allow() },
        };
        (found, visits)
    }

    pub(super) fn all_tries(&self) -> impl Iterator<Item = &Trie> {
        self.exact.values().chain(self.wildcard.values()).chain([&self.any])
    }

    /// The indexes whose hosts include all that `host` stands for: a name, `*.` and a name, or any when empty.
    pub(super) fn tries_covering<'t>(&'t self, host: &str) -> impl Iterator<Item = &'t Trie> {
        let (same, name) = match host.strip_prefix("*.") {
            Some(suffix) => (self.wildcard.get(suffix), suffix),
            None => (self.exact.get(host), host),
        };
        same.into_iter().chain(self.wildcards(name).into_iter().flatten()).chain([&self.any])
    }

    /// The indexes to look into, most specific first. The buffer takes the host in lower case.
    pub(super) fn tries<'t>(&'t self, buffer: &mut [u8; MAX_HOST], host: &str) -> impl Iterator<Item = &'t Trie> {
        let name = without_port(host);
        let mut exact = None;
        let mut wildcards = Wildcards::default();
        if !(self.exact.is_empty() && self.wildcard.is_empty()) && name.len() <= MAX_HOST {
            let lower = &mut buffer[..name.len()];
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            // Lower-casing ASCII leaves UTF-8 as it was.
            let name = std::str::from_utf8(lower).unwrap_or_default();
            exact = self.exact.get(name);
            if !self.wildcard.is_empty() {
                wildcards = self.wildcards(name);
            }
        }
        exact.into_iter().chain(wildcards.into_iter().flatten()).chain([&self.any])
    }

    /// Wildcards that cover `name`, longest first. More than eight levels of them for one name are not kept apart:
    /// the eight longest count.
    fn wildcards(&self, name: &str) -> Wildcards<'_> {
        let mut found = Wildcards::default();
        let mut count = 0;
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let (Some(trie), Some(slot)) = (self.wildcard.get(suffix), found.get_mut(count)) {
                *slot = Some(trie);
                count += 1;
            }
            rest = suffix;
        }
        found
    }
}

type Wildcards<'t> = [Option<&'t Trie>; 8];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::route::method::Accepts;
    use crate::route::trie::precedence;
    use crate::shared::Shared;
    use crate::snapshot::{self, Match, Snapshot};

    fn program(routes: impl Iterator<Item = (String, Match)>) -> Program {
        compile(routes.map(|(id, matches)| (id, matches, 0))).expect("a program")
    }

    fn compile(routes: impl IntoIterator<Item = (String, Match, i32)>) -> Result<Program, Vec<String>> {
        let empty = r#"{"workers": 1, "listeners": {}, "consumers": {}, "clusters": {}, "routes": {}}"#;
        let mut snapshot: Snapshot = serde_json::from_str(empty).expect("a snapshot");
        let response = || snapshot::FixedResponse { status: 200, headers: Default::default(), body: String::new() };
        snapshot.routes.extend(routes.into_iter().map(|(id, matches, priority)| {
            let target = snapshot::Target::Response(response());
            (id, snapshot::Route { matches, priority, api: None, policies: Default::default(), target })
        }));
        Program::compile(&snapshot, &Shared::new(1))
    }

    fn matches(host: Option<&str>, path: &str) -> Match {
        let hosts = host.into_iter().map(str::to_owned).collect();
        Match { hosts, path: path.to_owned(), methods: vec!["GET".to_owned()], ..Match::default() }
    }

    fn visits(program: &Program, method: &str, host: &str, path: &str, expected: Option<&str>) -> usize {
        let (head, ()) = http::Request::builder().method(method).uri(path).body(()).expect("valid").into_parts();
        let (found, visits) = program.routes.find_counted(host, path, &head);
        match found {
            Found::Route { route, .. } => assert_eq!(Some(&*route.id), expected, "{host}{path}"),
            _ => assert_eq!(expected, None, "{host}{path}"),
        }
        visits
    }

    #[test]
    fn a_look_up_among_a_hundred_thousand_routes_visits_few_nodes() {
        let program = program((0..100_000).map(|index| {
            let (id, group) = (format!("r{index}"), index / 1000);
            let matches = match index % 4 {
                0 => matches(None, &format!("/g{group}/items{index}/{{id}}")),
                1 => matches(None, &format!("/g{group}/{{tenant}}/orders{index}")),
                2 => matches(Some(&format!("h{index}.example.com")), "/{rest...}"),
                _ => matches(Some(&format!("*.w{index}.example.com")), "/a/{b}/c"),
            };
            (id, matches)
        }));
        for index in (0..100_000).step_by(997) {
            let (id, group) = (format!("r{index}"), index / 1000);
            let (host, path) = match index % 4 {
                0 => ("any".to_owned(), format!("/g{group}/items{index}/7")),
                1 => ("any".to_owned(), format!("/g{group}/blue/orders{index}")),
                2 => (format!("H{index}.Example.com.:8080"), "/deep/down".to_owned()),
                _ => (format!("x.y.w{index}.example.com"), "/a/b/c".to_owned()),
            };
            assert!(visits(&program, "GET", &host, &path, Some(&id)) <= 6);
            assert!(visits(&program, "POST", &host, &path, None) <= 6);
            let further = format!("{path}/no/such/thing");
            assert!(visits(&program, "GET", &host, &further, Some(&*id).filter(|_| index % 4 == 2)) <= 6);
        }
    }

    #[test]
    fn each_node_is_visited_at_most_once_however_patterns_overlap() {
        // Every pattern of eight segments that are `a` or a parameter: all of them match, none has the method.
        let program = program((0..256u32).map(|bits| {
            let segment = |index: u32| if bits >> index & 1 == 1 { "/a".to_owned() } else { format!("/{{p{index}}}") };
            (format!("r{bits}"), matches(None, &(0..8).map(segment).collect::<String>()))
        }));
        let path = "/a".repeat(8);
        assert_eq!(visits(&program, "GET", "any", &path, Some("r255")), 9);
        assert_eq!(visits(&program, "POST", "any", &path, None), 511);
        assert_eq!(visits(&program, "POST", "any", &"/a".repeat(5_000), None), 511);
    }

    /// The first of all routes by the documented order, by looking at each.
    fn first<'p>(program: &'p Program, host: &str, path: &str, head: &request::Parts) -> Option<&'p str> {
        let mut entries = Vec::new();
        for route in program.routes.routes() {
            let accepts = route.methods.accepts(&head.method);
            let conditions = &route.conditions;
            if accepts == Accepts::No
                || !route.path.matches(path)
                || !conditions.headers_hold(&head.headers)
                || !conditions.query_holds(head.uri.query())
            {
                continue;
            }
            let rank = |pattern: &str| match pattern.strip_prefix('*') {
                None => (pattern == host).then_some((0, 0)),
                Some(suffix) => host.ends_with(suffix).then_some((1, -(suffix.len() as i32))),
            };
            let any = route.hosts.is_empty().then_some((2, 0));
            let hosts = route.hosts.iter().filter_map(|pattern| rank(pattern)).chain(any);
            entries.extend(hosts.map(|host| (host, route, accepts == Accepts::Implicitly)));
        }
        let by_order = |one: &((i32, i32), &Arc<Route>, bool), two: &((i32, i32), &Arc<Route>, bool)| {
            let priority = two.1.priority.cmp(&one.1.priority);
            let place = priority.then(one.0.cmp(&two.0)).then(one.1.path.order(&two.1.path)).then(one.2.cmp(&two.2));
            place.then_with(|| precedence(one.1).cmp(&precedence(two.1)))
        };
        entries.into_iter().min_by(by_order).map(|(_, route, _)| &*route.id)
    }

    #[test]
    fn a_look_up_finds_what_looking_at_every_route_finds() {
        let mut random = fastrand::Rng::with_seed(11);
        let hosts = ["a.com", "b.a.com", "*.a.com", "*.b.a.com", "*.com"];
        let segments = ["x", "y", "", "{p}"];
        let methods = ["GET", "HEAD", "PUT"];
        let mut compared = 0;
        for _ in 0..600 {
            let mut routes = Vec::new();
            for index in 0..random.usize(1..25) {
                let depth = random.usize(1..4);
                let mut path: String = (0..depth)
                    .map(|at| format!("/{}", segments[random.usize(..segments.len())].replace('p', &format!("p{at}"))))
                    .collect();
                if random.u8(..4) == 0 {
                    path.push_str("/{rest...}");
                }
                let mut some = |all: &[&str]| -> Vec<String> {
                    all.iter().filter(|_| random.u8(..4) == 0).map(|text| (*text).to_owned()).collect()
                };
                let (hosts, methods) = (some(&hosts), some(&methods));
                let conditions =
                    |names: Vec<String>| names.into_iter().map(|name| (name, snapshot::ValueMatch::Present)).collect();
                let (headers, query) = (conditions(some(&["h", "i"])), conditions(some(&["q"])));
                let priority = if random.u8(..5) == 0 { random.i32(-1..3) } else { 0 };
                routes.push((
                    format!("r{index:02}"),
                    Match { hosts, path, methods, headers, query, versions: Vec::new() },
                    priority,
                ));
            }
            let Ok(program) = compile(routes) else { continue };
            for _ in 0..60 {
                let host = ["a.com", "b.a.com", "c.b.a.com", "d.com", "org"][random.usize(..5)];
                let path: String =
                    (0..random.usize(1..5)).map(|_| format!("/{}", ["x", "y", "", "z"][random.usize(..4)])).collect();
                let query = if random.bool() { "?q" } else { "" };
                let mut request =
                    http::Request::builder().method(methods[random.usize(..3)]).uri(format!("{path}{query}"));
                for name in ["h", "i"] {
                    request = if random.bool() { request.header(name, "1") } else { request };
                }
                let (head, ()) = request.body(()).expect("a request").into_parts();
                let found = match program.routes.find(host, &path, &head) {
                    Found::Route { route, .. } => Some(&*route.id),
                    _ => None,
                };
                assert_eq!(found, first(&program, host, &path, &head), "{} {host}{path}{query}", head.method);
                compared += usize::from(found.is_some());
            }
        }
        assert!(compared > 2_000, "{compared}");
    }
}
