//! Which route answers a request and why, what happens to it there, and the table of all routes: for people. Nothing
//! here is on a request's way, so it may look at every route.

pub(crate) mod decision;

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use http::uri::PathAndQuery;
use http::{request, HeaderName, HeaderValue, Method, Uri};
use serde_json::{json, Map, Value};

use crate::cluster::Cluster;
use crate::exchange::Exchange;
use crate::forwarded::{self, Peer, TrustedProxies};
use crate::policy::Policies;
use crate::program::Program;
use crate::route::condition::{header_holds, query_holds};
use crate::route::host::{normal_host, without_port};
use crate::route::method::Accepts;
use crate::route::path::{decode, normalise};
use crate::route::search::preflight;
use crate::route::trie::precedence;
use crate::route::{Found, Params, Route};
use crate::snapshot::ValueMatch;
use crate::target::Target;

/// The way of a request, as JSON: `request`, `outcome` (`route`, `method_not_allowed`, `not_found` or `refused`), `route`,
/// `why`, `params`, `candidates` with the reason each was not taken, `policies` in their order, `decisions` of those that
/// decide about requests, and `target`. `url` is absolute, or a path whose host is in `headers`; `client` is the address
/// from which it comes. Secrets are not shown.
pub fn explain(program: &Program, method: &str, url: &str, headers: &[(String, String)], client: IpAddr) -> Value {
    let mut asked = match Asked::new(method, url, headers) {
        Ok(asked) => asked,
        Err(reason) => return json!({"outcome": "refused", "status": 400, "reason": reason}),
    };
    let mut answer = json!({
        "request": {"method": asked.head.method.as_str(), "host": asked.host, "path": asked.path},
    });
    let found = program.routes.find(&asked.host, &asked.path, &asked.head);
    let chosen = match &found {
        Found::Route { route, params } => {
            answer["outcome"] = "route".into();
            answer["route"] = json!(&*route.id);
            answer["why"] = why(route, &asked);
            answer["params"] = decoded(route, params, &asked.path);
            Some(*route)
        }
        Found::MethodNotAllowed { allow } => {
            answer["outcome"] = "method_not_allowed".into();
            answer["status"] = if asked.head.method == Method::OPTIONS { 204 } else { 405 }.into();
            answer["allow"] = text(allow).into();
            None
        }
        Found::NotFound => {
            answer["outcome"] = "not_found".into();
            answer["status"] = 404.into();
            None
        }
    };
    answer["candidates"] = candidates(program, &asked, chosen);
    answer["policies"] = policies(chosen.map_or(&program.unrouted, |route| &route.policies));
    if let Found::Route { route, params } = found {
        answer["target"] = target(&route.target, None);
        let (route, params) = (route.clone(), params);
        match asked.exchange(client) {
            Some(mut exchange) => {
                (exchange.params, exchange.route) = (params, Some(route.clone()));
                decision::decide(&route.policies, &mut exchange, &mut asked.head, &mut answer);
                let own = route.policies.version.as_ref().and_then(|policy| policy.cluster(&exchange));
                answer["target"] = target(&route.target, own);
            }
            None => answer["decisions"] = json!([]),
        }
    }
    answer
}

/// All routes, first in precedence first; one with several hosts stands where its most specific one does.
pub fn routes(program: &Program) -> Value {
    let mut routes: Vec<&Arc<Route>> = program.routes.routes().iter().collect();
    routes.sort_by(|one, two| {
        let ahead = |one: &Route, two: &Route| {
            (Reverse(one.priority), host_rank(one)).cmp(&(Reverse(two.priority), host_rank(two)))
        };
        let place = ahead(one, two).then_with(|| one.path.order(&two.path));
        place.then_with(|| precedence(one).cmp(&precedence(two))).then_with(|| one.id.cmp(&two.id))
    });
    let describe = |route: &&Arc<Route>| {
        json!({
            "route": &*route.id,
            "priority": route.priority,
            "hosts": route.hosts,
            "path": route.path.text(),
            "methods": route.methods.names(),
            "conditions": conditions(route),
            "policies": route.policies.describe().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            "target": target(&route.target, None),
        })
    };
    routes.iter().map(describe).collect()
}

/// Exact before wildcard before any; among wildcards the longest.
fn host_rank(route: &Route) -> (u8, Reverse<usize>, Option<&str>) {
    let rank = |host: &str| match host.strip_prefix("*.") {
        None => (0, Reverse(0)),
        Some(suffix) => (1, Reverse(suffix.len())),
    };
    let ranks = route.hosts.iter().map(|host| (rank(host), &**host));
    ranks.min().map_or((2, Reverse(0), None), |((kind, length), host)| (kind, length, Some(host)))
}

struct Asked {
    host: String,
    path: String,
    head: request::Parts,
}

impl Asked {
    fn new(method: &str, url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| format!("'{url}' is not a URL"))?;
        let mut request = http::Request::new(());
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).map_err(|_| format!("'{method}' is no method"))?;
        for (name, value) in headers {
            let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            let (Ok(name), Ok(value)) = pair else { return Err(format!("the header '{name}' is not valid")) };
            request.headers_mut().append(name, value);
        }
        let host = match uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => request.headers().get(http::header::HOST).map(text).unwrap_or_default(),
        };
        let path = normalise(uri.path()).map_err(|error| error.detail)?.into_owned();
        *request.uri_mut() = uri;
        Ok(Self { host, path, head: request.into_parts().0 })
    }

    /// On its way from a client that no proxy stands before: what it claims of itself is taken away, as it would be.
    fn exchange(&mut self, client: IpAddr) -> Option<Exchange> {
        let scheme = if self.head.uri.scheme_str() == Some("https") { "https" } else { "http" };
        let target = match self.head.uri.query() {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        };
        let (target, host) = (PathAndQuery::try_from(target).ok()?, HeaderValue::from_str(&self.host).ok()?);
        self.head.headers.insert(http::header::HOST, host.clone());
        let peer = SocketAddr::new(client, 0);
        let mut exchange = Exchange::new(Instant::now(), peer, self.head.method.clone(), host, target);
        exchange.scheme = scheme;
        forwarded::receive(&mut self.head, &Peer::new(peer), scheme, &TrustedProxies::default());
        Some(exchange)
    }
}

fn why(route: &Route, asked: &Asked) -> Value {
    let host = match matching_host(route, &asked.host) {
        Some(host) if host.starts_with("*.") => format!("the host is below '{}'", &host[2..]),
        Some("") | None => "any host".to_owned(),
        Some(host) => format!("the host is '{host}'"),
    };
    let method = match route.methods.accepts(&asked.head.method) {
        Accepts::Explicitly if route.methods.is_any() => "any method".to_owned(),
        Accepts::Explicitly => format!("it names {}", asked.head.method),
        Accepts::Implicitly => "HEAD is answered where GET is".to_owned(),
        Accepts::No => "a CORS preflight is answered by the route that it asks about".to_owned(),
    };
    json!({
        "host": host,
        "path": match route.bare.as_ref().filter(|_| !route.path.matches(&asked.path)) {
            Some(bare) => format!("it matches '{}', which names no version", bare.text()),
            None => format!("it matches '{}'", route.path.text()),
        },
        "method": method,
        "conditions": conditions(route),
        "priority": route.priority,
    })
}

/// Routes whose host and path match but that do not answer, each with the first reason.
fn candidates(program: &Program, asked: &Asked, chosen: Option<&Arc<Route>>) -> Value {
    let others =
        program.routes.routes().iter().filter(|route| !chosen.is_some_and(|chosen| Arc::ptr_eq(chosen, route)));
    let matching = others.filter(|route| {
        (route.hosts.is_empty() || matching_host(route, &asked.host).is_some())
            && (route.path.matches(&asked.path) || matches_bare(route, &asked.path))
    });
    matching.map(|route| json!({"route": &*route.id, "refused": refusal(route, asked, chosen)})).collect()
}

/// Without the version that the route's path names.
fn matches_bare(route: &Route, path: &str) -> bool {
    route.bare.as_ref().is_some_and(|bare| bare.matches(path))
}

fn refusal(route: &Route, asked: &Asked, chosen: Option<&Arc<Route>>) -> String {
    let asks_about = preflight(&asked.head).filter(|_| route.policies.cors.is_some());
    let accepts = |method: &Method| route.methods.accepts(method) != Accepts::No;
    if !accepts(&asked.head.method) && !asks_about.as_ref().is_some_and(accepts) {
        return format!("it has no {}, only {}", asked.head.method, route.methods.names().join(", "));
    }
    let query = asked.head.uri.query();
    if let Some((name, value)) = route.conditions.query.iter().find(|one| !query_holds(one, query)) {
        return format!("the query has no {}", condition(name, value));
    }
    let headers = &asked.head.headers;
    let failed = route.conditions.headers.iter().find(|one| !header_holds(one, headers));
    if let Some((name, value)) = failed.filter(|_| asks_about.is_none()) {
        return format!("there is no header {}", condition(name.as_str(), value));
    }
    if let Some(versions) =
        route.conditions.versions.as_ref().filter(|_| asks_about.is_none() && !version_holds(route, asked))
    {
        return format!("it answers no other version of '{}' than {}", versions.api.name, versions.names().join(", "));
    }
    match chosen {
        Some(chosen) if chosen.priority > route.priority => {
            format!("'{}' has the higher priority {}", chosen.id, chosen.priority)
        }
        Some(chosen) => format!("'{}' is more specific", chosen.id),
        None => "it does not match".to_owned(),
    }
}

fn version_holds(route: &Route, asked: &Asked) -> bool {
    // Its own search, which knows the segments.
    let segment = route.version.map_or("", |at| asked.path.split('/').nth(at.segment + 1).unwrap_or_default());
    let segment = if route.path.matches(&asked.path) { segment } else { "" };
    route.conditions.version_holds(&asked.head.headers, asked.head.uri.query(), segment)
}

/// The host of the route that covers the one asked for, the most specific of them; "" is any.
fn matching_host<'r>(route: &'r Route, asked: &str) -> Option<&'r str> {
    if route.hosts.is_empty() {
        return Some("");
    }
    let asked = normal_host(without_port(asked)).ok()?;
    let below = |suffix: &str| asked.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
    let covers = |host: &&str| host.strip_prefix("*.").map_or(*host == &*asked, below);
    let hosts = route.hosts.iter().map(|host| &**host).filter(covers);
    hosts.max_by_key(|host| (!host.starts_with("*."), host.len()))
}

fn condition(name: &str, value: &ValueMatch) -> String {
    match value {
        ValueMatch::Present => format!("'{name}'"),
        ValueMatch::Exact(text) => format!("'{name}' that is '{text}'"),
    }
}

fn conditions(route: &Route) -> Value {
    let headers =
        route.conditions.headers.iter().map(|(name, value)| format!("header {}", condition(name.as_str(), value)));
    let query = route.conditions.query.iter().map(|(name, value)| format!("query {}", condition(name, value)));
    let versions = route.conditions.versions.iter();
    let versions = versions.map(|some| format!("version of '{}' that is {}", some.api.name, some.names().join(" or ")));
    headers.chain(query).chain(versions).collect()
}

fn decoded(route: &Route, params: &Params, path: &str) -> Value {
    let pairs = params.iter(route.path.names(), path);
    Value::Object(pairs.map(|(name, value)| (name.to_owned(), decode(value).into())).collect::<Map<_, _>>())
}

fn policies(policies: &Policies) -> Value {
    let describe =
        |(name, settings): (crate::policy::Name, Value)| json!({"policy": name.as_str(), "settings": settings});
    policies.describe().into_iter().map(describe).collect()
}

/// `own`: the cluster of a version, in place of the target's.
fn target(target: &Target, own: Option<&Arc<Cluster>>) -> Value {
    match target {
        Target::Cluster(forward) => json!({
            "credentials": own.unwrap_or(&forward.cluster).credentials.as_ref().map(|credentials| credentials.describe()),
            "cluster": &*own.unwrap_or(&forward.cluster).name,
            "path": forward.path.as_ref().map(|template| template.text()),
            "endpoints": own.unwrap_or(&forward.cluster).endpoints.iter().map(|endpoint| &*endpoint.name).collect::<Vec<_>>(),
        }),
        Target::Aggregate(aggregate) => aggregate.describe(),
        Target::Workflow(workflow) => json!({
            "workflow": workflow.settings.workflow,
            "wait_ms": workflow.settings.wait_ms,
            "status_path": workflow.status_path.text(),
        }),
        Target::Execution(execution) => json!({"executions_of": &*execution.route}),
        Target::Events => json!({"events": {}}),
        Target::Response(response) => json!({"response": response.status.as_u16()}),
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
