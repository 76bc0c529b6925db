//! A shared HTTP cache (RFC 9111): responses are kept and used again, asked for again when they are stale, and one fetch
//! serves all who ask at once. It stands directly before the target: it sees requests as the service would.

mod admission;
mod collapse;
mod condition;
mod content;
pub mod directives;
mod disk;
mod entry;
mod filling;
pub mod freshness;
mod groups;
mod invalidate;
mod key;
mod lead;
mod lookup;
mod partial;
mod present;
mod purge;
mod range;
mod request;
mod shard;
mod status;
mod store;
mod through;
mod tiers;
mod vary;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, Request, Response, StatusCode};
use serde_json::{json, Value};

pub use self::groups::Of;
pub use self::purge::Purge;
pub use self::status::Use;
pub use self::store::{Level, Store};

use self::entry::{Terms, CONFIDENTIAL};
use self::freshness::Fallback;
use super::RequestHead;
use crate::cluster::InterimSink;
use crate::error::{Error, Kind};
use crate::exchange::{CallReport, Exchange};
use crate::explain::decision::{open, passes};
use crate::protocol::body::Body;
use crate::protocol::link::Link;
use crate::proxy;
use crate::route::Route;
use crate::snapshot::{self, CacheKeyPart, CacheQuery, CacheRanges};
use crate::target::Target;
use crate::worker::Worker;

pub struct Cache {
    store: Arc<Store>,
    route: Arc<str>,
    fingerprint: u64,
    query: CacheQuery,
    by: Vec<By>,
    forward: Vec<HeaderName>,
    share_consumers: bool,
    /// The target is asked with tokens that are got for those of callers.
    exchanges: bool,
    ttl_s: BTreeMap<u16, u64>,
    heuristic: bool,
    set_cookies: bool,
    object_bytes: u64,
    variants: usize,
    while_revalidate_s: u64,
    if_error_s: u64,
    client_control: bool,
    groups: Box<[Box<str>]>,
    invalidates: Box<[Box<str>]>,
    ranges: CacheRanges,
    /// Its keys hold what proves who asks: nothing of it is written to a disk.
    confidential: bool,
    status: bool,
    description: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    Consumer,
    Header(HeaderName),
    Claim(Box<[Box<str>]>),
}

/// What is needed to ask the target.
pub struct Origin<'a> {
    pub worker: &'a Rc<Worker>,
    /// The client's; None where nobody waits for the answer.
    pub link: Option<&'a Rc<Link>>,
    pub route: &'a Arc<Route>,
    pub interim: Option<InterimSink>,
    /// One call of the route's aggregate, rather than all of the target.
    pub call: Option<OfCall<'a>>,
}

pub struct OfCall<'a> {
    /// Its position.
    pub index: usize,
    pub report: &'a RefCell<CallReport>,
}

impl Origin<'_> {
    async fn ask(&self, exchange: &mut Exchange, request: Request<Body>) -> Result<Response<Body>, Error> {
        match &self.call {
            None => proxy::ask(self.worker, self.link, exchange, self.route, request, self.interim.clone()).await,
            Some(call) => {
                let Target::Aggregate(target) = &self.route.target else { return Err(nowhere()) };
                target.ask(self.worker, exchange, call, request).await
            }
        }
    }
}

fn nowhere() -> Error {
    Error::new(Kind::Internal, "The route has no such call")
}

/// Of a route, or of one call of its aggregate.
fn of(route: &Route, call: Option<usize>) -> Option<&Cache> {
    match (call, &route.target) {
        (None, _) => route.policies.cache.as_ref(),
        (Some(index), Target::Aggregate(target)) => target.cache(index),
        (Some(_), _) => None,
    }
}

impl Cache {
    pub fn new(settings: &snapshot::Cache, authenticated: bool, store: &Arc<Store>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut name = |text: &String, option: &str| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) => Some(name),
            Err(_) => {
                errors.push(format!("{option}: '{text}' is not a header name"));
                None
            }
        };
        let forward = settings.forward.iter().filter_map(|text| name(text, "forward")).collect();
        let by: Vec<By> = settings
            .vary_by
            .iter()
            .filter_map(|part| match part {
                CacheKeyPart::Consumer => Some(By::Consumer),
                CacheKeyPart::Header(text) => name(text, "vary_by").map(By::Header),
                CacheKeyPart::Claim(path) => Some(By::Claim(path.split('.').map(Box::from).collect())),
            })
            .collect();
        let of_caller = by.iter().any(|by| !matches!(by, By::Header(_))) || settings.share_consumers;
        if of_caller && !authenticated {
            errors.push("consumers and claims can tell responses apart only beside 'authenticate'".to_owned());
        }
        if by.contains(&By::Consumer) && settings.share_consumers {
            errors.push("share_consumers: 'vary_by' tells consumers apart".to_owned());
        }
        if let Some(status) = settings.ttl_s.keys().find(|status| !(200..=599).contains(*status) || **status == 206) {
            errors.push(format!("ttl: responses of status {status} are not stored"));
        }
        if settings.variants == 0 || settings.object_bytes == 0 {
            errors.push("nothing would be stored".to_owned());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let confidential = by.iter().any(|by| matches!(by, By::Header(name) if CONFIDENTIAL.contains(name)));
        store.learn(&settings.query);
        Ok(Self {
            store: store.clone(),
            route: "".into(),
            fingerprint: 0,
            query: settings.query.clone(),
            by,
            forward,
            share_consumers: settings.share_consumers,
            exchanges: false,
            ttl_s: settings.ttl_s.clone(),
            heuristic: settings.heuristic,
            set_cookies: settings.set_cookies,
            object_bytes: settings.object_bytes,
            variants: settings.variants,
            while_revalidate_s: settings.stale_while_revalidate_s,
            if_error_s: settings.stale_if_error_s,
            client_control: settings.client_control,
            groups: texts(&settings.groups),
            invalidates: texts(&settings.invalidates),
            ranges: settings.ranges,
            confidential,
            status: settings.status,
            description: describe(settings),
        })
    }

    /// The route it is on. What is stored under another program is found again if the route leads to the same.
    /// `exchanges`: its target is asked with tokens for those of callers.
    pub fn belongs_to(
        &mut self,
        id: &Arc<str>,
        settings: &snapshot::Route,
        api: Option<&snapshot::Api>,
        exchanges: bool,
    ) {
        self.exchanges = exchanges;
        // Where versions lead; when they end is no part of what is stored.
        let leads = api.map(|api| {
            let versions = api.versions.iter().map(|version| (&version.name, &version.cluster, &version.step));
            (&api.marker, api.strip, versions.collect::<Vec<_>>())
        });
        let mut hasher = DefaultHasher::new();
        format!("{:?}", (&settings.target, what_makes_answers(&settings.policies), &settings.api, leads))
            .hash(&mut hasher);
        (self.route, self.fingerprint) = (id.clone(), hasher.finish());
    }

    /// The call it is of: its answers are no other's, and are found again where the call is still the same.
    pub fn belongs_to_call(&mut self, id: &Arc<str>, settings: &snapshot::AggregateCall, exchanges: bool) {
        self.exchanges = exchanges;
        let mut hasher = DefaultHasher::new();
        (&settings.name, &settings.cluster, format!("{:?}", settings.headers)).hash(&mut hasher);
        (self.route, self.fingerprint) = (id.clone(), hasher.finish());
    }

    pub fn shares_consumers(&self) -> bool {
        self.share_consumers
    }

    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    /// What would be looked for, if it is not past the cache.
    pub fn explain(&self, exchange: &Exchange, head: &RequestHead) -> Value {
        match self.admit(exchange, head, &Body::empty()) {
            Err(why) => passes(&format!("it goes past the cache ({})", why.as_str())),
            Ok(_) => {
                let url = key::Url::of(exchange, &self.query).text();
                open(&format!("a response that is stored for {url} may answer it"))
            }
        }
    }

    fn terms(&self, status: StatusCode) -> Terms<'_> {
        let ttl_s = self.ttl_s.get(&status.as_u16()).copied();
        Terms {
            fallback: Fallback { ttl_s, heuristic: self.heuristic },
            while_revalidate_s: self.while_revalidate_s,
            if_error_s: self.if_error_s,
            groups: &self.groups,
        }
    }
}

/// Policies that decide on what is stored. Those are left out that act before the look-up or after the store.
fn what_makes_answers(policies: &snapshot::Policies) -> snapshot::Policies {
    let request = policies.headers.as_ref().map(|headers| headers.request.clone());
    snapshot::Policies {
        limits: None,
        request_id: None,
        access_log: None,
        cors: None,
        authenticate: None,
        rate_limit: Vec::new(),
        headers: request.map(|request| snapshot::Headers { request, ..Default::default() }),
        upgrade: None,
        compress: None,
        hsts: None,
        csrf: None,
        authorize: None,
        security_headers: None,
        ..policies.clone()
    }
}

fn describe(settings: &snapshot::Cache) -> Value {
    let query = match &settings.query {
        CacheQuery::All => json!("all"),
        CacheQuery::Sorted => json!("sorted"),
        CacheQuery::Names(names) => json!(names),
    };
    let by = settings.vary_by.iter().map(|part| match part {
        CacheKeyPart::Consumer => json!("consumer"),
        CacheKeyPart::Header(name) => json!({ "header": name }),
        CacheKeyPart::Claim(path) => json!({ "claim": path }),
    });
    json!({
        "query": query, "vary_by": by.collect::<Vec<_>>(), "forward": settings.forward,
        "share_consumers": settings.share_consumers,
        "ttl_s": settings.ttl_s.iter().map(|(status, ttl)| (status.to_string(), json!(ttl))).collect::<serde_json::Map<_, _>>(),
        "heuristic": settings.heuristic, "set_cookies": settings.set_cookies, "object_bytes": settings.object_bytes,
        "variants": settings.variants, "stale_while_revalidate_s": settings.stale_while_revalidate_s,
        "stale_if_error_s": settings.stale_if_error_s, "client_control": settings.client_control,
        "ranges": match settings.ranges { CacheRanges::Pass => "pass", CacheRanges::Whole => "whole" },
        "groups": settings.groups, "invalidates": settings.invalidates, "status": settings.status,
    })
}
