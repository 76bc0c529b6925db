//! The steps between versions, tried with the examples of their descriptions: what a version's requests become must be what
//! the next one takes, and what that answers must become what the version says. For `stagedoor check`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{request, HeaderValue, Request, Response, StatusCode};

use super::chain::Chain;
use super::marker::{write_path, Marker};
use super::{Api, Chosen, Why};
use crate::exchange::Exchange;
use crate::policy::validate::examples::{Described, Example, Shown};
use crate::program::Program;
use crate::protocol::body::Body;
use crate::route::{Found, Route};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// Of one content that is looked at.
const CONTENT: usize = 16 << 20;

/// What does not fit, as sentences: errors, and warnings of what cannot be told for sure.
#[derive(Default)]
pub struct Findings {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

/// Nothing is sent to anybody.
pub fn check(program: &Arc<Program>, snapshot: &Snapshot) -> Findings {
    let mut findings = Findings::default();
    let pairs = program.apis.values().flat_map(|api| {
        let described =
            |index: usize| api.versions[index].openapi.as_ref().and_then(|name| snapshot.documents.get(name));
        api.versions.iter().enumerate().filter_map(move |(from, version)| {
            let to = version.step.as_ref()?.0;
            Some((api, from, to, described(from)?, described(to)?))
        })
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return findings;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else {
        findings.warnings.push("the examples of versions cannot be tried: there is no runtime".to_owned());
        return findings;
    };
    let worker = Worker::new(0, Arc::new(Shared::new(1)), Arc::new(ArcSwap::new(program.clone())));
    for (api, from, to, lower, upper) in pairs {
        let mut describe = |index: usize, document| {
            let place = format!("api '{}': version '{}': openapi", api.name, api.versions[index].name);
            let wrong = |errors: Vec<String>| errors.into_iter().map(|error| format!("{place}: {error}")).collect();
            Described::new(document).map_err(|errors| findings.errors.append(&mut wrong(errors))).ok()
        };
        let (Some(lower), Some(upper)) = (describe(from, lower), describe(to, upper)) else { continue };
        let trial = Trial { program, worker: &worker, api, from, to, lower: &lower, upper: &upper };
        runtime.block_on(trial.run(&mut findings));
    }
    findings
}

/// Of one step.
struct Trial<'a> {
    program: &'a Arc<Program>,
    worker: &'a Rc<Worker>,
    api: &'a Arc<Api>,
    from: usize,
    to: usize,
    lower: &'a Described<'a>,
    upper: &'a Described<'a>,
}

/// An operation of the version, and the step that it goes through.
struct Tried<'a> {
    shown: &'a Shown<'a>,
    chain: Chain,
    place: String,
}

impl Trial<'_> {
    async fn run(&self, findings: &mut Findings) {
        for shown in &self.lower.operations {
            // What no route of the API answers is none of its business.
            let Some((exchange, head)) = self.asked(shown) else { continue };
            let Some((chain, place)) = exchange.route.as_ref().and_then(|route| self.step_of(route)) else { continue };
            let tried = Tried { shown, chain, place };
            self.operation(&tried, exchange, head, findings).await;
        }
    }

    /// The first step of the version on that route, alone, and where it is written.
    fn step_of(&self, route: &Route) -> Option<(Chain, String)> {
        let first = route.policies.version.as_ref()?.chain(self.from)?.steps.first()?.clone();
        let of_api = self.api.versions[self.from].step.as_ref().is_some_and(|(_, step)| Arc::ptr_eq(step, &first));
        let place = match of_api {
            true => self.place("step"),
            false => format!("route '{}': steps: version '{}'", route.id, self.name()),
        };
        Some((Chain { steps: Box::new([first]), end: self.to }, place))
    }

    async fn operation(&self, tried: &Tried<'_>, exchange: Exchange, head: request::Parts, findings: &mut Findings) {
        let shown = tried.shown;
        let what = format!("{} {}", shown.method, shown.template);
        let mut requests: Vec<Option<Example<'_>>> = self.lower.requests(shown).into_iter().map(Some).collect();
        // Without any, the way and the answers can be tried still.
        if requests.is_empty() {
            requests.push(None);
        }
        let mut answered = false;
        for example in requests {
            let name =
                example.as_ref().map_or("the request".to_owned(), |example| format!("the example '{}'", example.name));
            let again = self.again(&exchange);
            let what = format!("{name} of {what}");
            let made = self.request(tried, again, head.clone(), example, &what, findings).await;
            if let Some((raised, target)) = made.filter(|_| !std::mem::replace(&mut answered, true)) {
                self.answers(tried, raised, target, findings).await;
            }
        }
    }

    /// The request after the step, and the operation of the next version that it is for.
    async fn request(
        &self,
        tried: &Tried<'_>,
        mut exchange: Exchange,
        mut head: request::Parts,
        example: Option<Example<'_>>,
        what: &str,
        findings: &mut Findings,
    ) -> Option<(Exchange, &Shown<'_>)> {
        let (at, next) = (format!("{}: up", tried.place), &self.api.versions[self.to].name);
        let Tried { shown, chain, .. } = tried;
        let content = example.as_ref().map(|example| example.value.to_string()).unwrap_or_default();
        let has_content = example.is_some();
        if let Some(example) = &example {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_str(example.media).ok()?);
            if let Some(fault) = shown.request_fault(&head.headers, content.as_bytes()) {
                findings
                    .warnings
                    .push(format!("{}: {what} is not as its own description says: {fault}", self.place("openapi")));
                return None;
            }
        }
        let mut body = if has_content { Body::full(content) } else { Body::empty() };
        if let Err(error) = chain.up(self.worker, &mut exchange, &mut head, &mut body).await {
            findings.errors.push(format!("{at}: {what} cannot be made into '{next}': {error}"));
            return None;
        }
        let content = body.buffer(CONTENT).await.ok()?;
        let target = self.upper.find(&head.method, &self.paths(&exchange));
        let Some(target) = target else {
            let asked = exchange.asked_path();
            findings
                .warnings
                .push(format!("{at}: {what} becomes {} {asked}, which '{next}' does not describe", head.method));
            return None;
        };
        let query = exchange.asked_query().unwrap_or_default();
        let wrong = has_content.then(|| target.request_fault(&head.headers, &content)).flatten();
        let wrong = wrong.or_else(|| shown.query.as_ref().and_then(|_| target.query_fault(query)));
        if let Some(fault) = wrong {
            findings.errors.push(format!("{at}: {what} becomes what '{next}' does not take: {fault}"));
        }
        Some((exchange, target))
    }

    async fn answers(&self, tried: &Tried<'_>, mut exchange: Exchange, target: &Shown<'_>, findings: &mut Findings) {
        let next = &self.api.versions[self.to].name;
        let Tried { shown, chain, place } = tried;
        let seen: Vec<_> = exchange.raised.iter().flat_map(|raised| raised.seen.clone()).collect();
        for (status, example) in self.upper.responses(target) {
            let at = format!("{place}: {}", if status < 400 { "down" } else { "down_errors" });
            let what = format!("the example '{}' of {status} of {} {}", example.name, target.method, target.template);
            let Ok(code) = StatusCode::from_u16(status) else { continue };
            let text = example.value.to_string();
            let mut answer = Response::new(Body::full(text.clone()));
            *answer.status_mut() = code;
            let Ok(media) = HeaderValue::from_str(example.media) else { continue };
            answer.headers_mut().insert(CONTENT_TYPE, media);
            if let Some(Some(fault)) = target.response_fault(status, answer.headers(), text.as_bytes()) {
                let place = format!("api '{}': version '{next}': openapi", self.api.name);
                findings.warnings.push(format!("{place}: {what} is not as its own description says: {fault}"));
                continue;
            }
            exchange.raised.get_or_insert_default().seen = seen.clone();
            let answer = match chain.down(self.worker, &mut exchange, answer).await {
                Ok(answer) => answer,
                Err(error) => {
                    findings.errors.push(format!("{}: {what} cannot be made into '{}': {error}", at, self.name()));
                    continue;
                }
            };
            let (head, mut body) = answer.into_parts();
            let Ok(content) = body.buffer(CONTENT).await else { continue };
            match shown.response_fault(head.status.as_u16(), &head.headers, &content) {
                Some(None) => {}
                Some(Some(fault)) => findings.errors.push(format!(
                    "{}: {what} becomes what '{}' does not answer: {fault}",
                    at,
                    self.name()
                )),
                None => findings.warnings.push(format!(
                    "{}: {what} becomes {}, which '{}' does not describe",
                    at,
                    head.status.as_u16(),
                    self.name()
                )),
            }
        }
    }

    /// A request for the operation as its route gets it.
    fn asked(&self, shown: &Shown<'_>) -> Option<(Exchange, request::Parts)> {
        let of_api = |route: &&Arc<Route>| {
            route.policies.version.as_ref().is_some_and(|policy| Arc::ptr_eq(&policy.api, self.api))
        };
        let routes = self.program.routes.routes().iter().filter(of_api);
        let mut hosts: Vec<String> =
            routes.map(|route| route.hosts.first().map_or("", |host| host).replace('*', "any")).collect();
        hosts.sort();
        hosts.dedup();
        let (base, name) = (self.lower.base(), &*self.api.versions[self.from].name);
        let mut paths = vec![format!("{base}{}", shown.path), shown.path.clone()];
        if let Marker::Path = self.api.marker {
            paths.extend([format!("/{name}{}", shown.path), format!("{base}/{name}{}", shown.path)]);
        }
        for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path))) {
            let mut query = shown.query.clone().filter(|query| !query.is_empty());
            if let Some(marked) = self.api.marker.write_query(query.as_deref(), Some(name)) {
                query = Some(marked);
            }
            let target = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            let Ok(target) = PathAndQuery::try_from(target) else { continue };
            let (mut head, ()) =
                Request::builder().method(&shown.method).uri(target.clone()).body(()).ok()?.into_parts();
            let host = HeaderValue::from_str(host).ok()?;
            head.headers.insert(HOST, host.clone());
            self.api.marker.write_headers(&mut head.headers, Some(name));
            let found = self.program.routes.find(host.to_str().ok()?, target.path(), &head);
            let Found::Route { route, params } = found else { continue };
            if !of_api(&route) {
                continue;
            }
            let peer = ([127, 0, 0, 1], 0).into();
            let mut exchange = Exchange::new(Instant::now(), peer, shown.method.clone(), host, target);
            (exchange.route, exchange.params) = (Some(route.clone()), params);
            exchange.version = Some(self.chosen());
            return Some((exchange, head));
        }
        None
    }

    fn chosen(&self) -> Chosen {
        let (index, why) = (self.from, Why::Marker);
        Chosen { api: self.api.clone(), index, told: Some(index), why, personal: false }
    }

    fn again(&self, exchange: &Exchange) -> Exchange {
        let mut again = exchange.again();
        again.method = exchange.method.clone();
        again
    }

    /// What the next version may call the path that a request has after the step.
    fn paths(&self, exchange: &Exchange) -> Vec<String> {
        let asked = exchange.asked_path();
        let mut paths = vec![asked.to_owned()];
        if let Some(rest) = asked.strip_prefix(self.lower.base()).filter(|rest| rest.starts_with('/')) {
            paths.push(rest.to_owned());
        }
        let segment = asked.split('/').skip(1).position(|segment| *segment == *self.api.versions[self.from].name);
        if let (Marker::Path, Some(segment)) = (&self.api.marker, segment) {
            paths.push(write_path(asked, segment, Some(&self.api.versions[self.to].name)));
            paths.push(write_path(asked, segment, None));
        }
        paths
    }

    fn name(&self) -> &str {
        &self.api.versions[self.from].name
    }

    fn place(&self, part: &str) -> String {
        format!("api '{}': version '{}': {part}", self.api.name, self.name())
    }
}
