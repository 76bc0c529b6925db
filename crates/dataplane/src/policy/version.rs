//! Which version of its API a request is of, and what that means for it. No policy that a user switches on: a route has it
//! by belonging to an API. It comes after `authenticate`, because a consumer may be pinned.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{LINK, VARY};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::{json, Value};

use super::RequestHead;
use crate::api::chain::{Chain, Step};
use crate::api::lifecycle::{self, http_date, retry_after, State};
use crate::api::marker::{write_path, Marked, Marker};
use crate::api::{Api, Apis, Chosen, Why};
use crate::cluster::Cluster;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::explain::decision::{passes, refused};
use crate::policy::ResponseHead;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::route::pattern::Segment;
use crate::route::Matcher;
use crate::shared::Shared;
use crate::snapshot;
use crate::worker::Worker;

pub struct Version {
    pub api: Arc<Api>,
    /// By version.
    chains: Box<[Chain]>,
    /// Whether a version is served here, by version.
    serves: Box<[bool]>,
    /// Where in the path the version stands.
    segment: Option<usize>,
    /// That the route's own path names.
    fixed: Option<usize>,
    /// By version, whether its successor is served here at the same path but for the version.
    leads_on: Box<[bool]>,
}

impl Version {
    /// Every mistake goes to `report`; None then.
    pub fn compile(
        place: &str,
        settings: &snapshot::RouteApi,
        matcher: &Matcher,
        apis: &Apis,
        report: &mut Report,
    ) -> Option<Self> {
        // One that exists but does not compile has been reported already.
        let api = apis.get(settings.api.as_str())?.clone();
        let mut wrong = Vec::new();
        let mut own: Vec<Option<Arc<Step>>> = api.versions.iter().map(|_| None).collect();
        for (name, changes) in &settings.steps {
            let mut mistakes = Vec::new();
            let step = Arc::new(Step::compile(changes, "", &mut mistakes));
            wrong.extend(mistakes.into_iter().map(|mistake| format!("steps: version '{name}': {mistake}")));
            match api.find(name).filter(|index| api.versions[*index].step.is_some()) {
                Some(index) => own[index] = Some(step),
                None => wrong.push(format!("steps: version '{name}': it has no step to another version")),
            }
        }
        let (mut segment, mut fixed) = (None, None);
        if let Marker::Path = api.marker {
            let named = |(at, part): (usize, &Segment)| match part {
                Segment::Exact(text) => Some((at, api.find(text)?)),
                Segment::Param | Segment::Rest => None,
            };
            let own = matcher.path.segments().iter().enumerate().find_map(named);
            match matcher.version {
                Some(at) => segment = Some(at.segment),
                None => (segment, fixed) = own.unzip(),
            }
            if segment.is_none() && !api.has_default() {
                wrong.push("match: path: it has no segment {version}, and there is no default".to_owned());
            }
        }
        let is_right = wrong.is_empty();
        wrong.into_iter().for_each(|mistake| report.error(format!("{place}: {mistake}")));
        is_right.then_some(())?;
        let all = 0..api.versions.len();
        let allowed = matcher.conditions.versions.as_ref();
        let serves: Box<[bool]> = all
            .clone()
            .map(|index| allowed.is_none_or(|allowed| allowed.allows(index)) && fixed.is_none_or(|only| only == index))
            .collect();
        let chains: Box<[Chain]> = all.map(|index| Chain::new(&api, index, |from| own[from].clone())).collect();
        let moves = |index: usize| {
            let first = chains[index].steps.first();
            first.and_then(|step| step.up.as_ref()).is_some_and(|up| up.changes_the_path())
        };
        let leads_on = api.versions.iter().enumerate().map(|(index, version)| {
            fixed.is_none() && version.successor.is_some_and(|next| serves[next]) && !moves(index)
        });
        let leads_on = leads_on.collect();
        Some(Self { api, chains, serves, segment, fixed, leads_on })
    }

    pub fn describe(&self) -> Value {
        let served = self.api.versions.iter().zip(&self.serves).filter(|(_, served)| **served);
        json!({
            "api": &*self.api.name, "by": self.api.marker.describe(),
            "versions": served.map(|(version, _)| &*version.name).collect::<Vec<_>>(),
        })
    }

    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead, shared: &Shared) -> Result<(), Error> {
        let now = lifecycle::now();
        let decided = self.decide(exchange, head, shared, now, fastrand::u8(..100));
        match &exchange.version {
            Some(chosen) => chosen.version().used.note(exchange.caller().unwrap_or_default(), decided.is_err(), now),
            None => self.api.used.note_unknown(),
        }
        decided
    }

    /// Like `on_request`, but that nothing is counted.
    pub fn explain(&self, exchange: &mut Exchange, head: &RequestHead, shared: &Shared) -> Value {
        let decided = self.decide(exchange, head, shared, lifecycle::now(), 0);
        let mut told = match (&decided, &exchange.version) {
            (Ok(()), Some(chosen)) => {
                passes(&format!("it is of the version '{}': {}", chosen.version().name, chosen.why()))
            }
            (Ok(()), None) => passes("it is of no version"),
            (Err(error), _) => refused(error),
        };
        if let Some(chosen) = &exchange.version {
            let end = self.chains[chosen.index].end;
            told["version"] = json!({
                "api": &*self.api.name, "version": &*chosen.version().name, "why": chosen.why(),
                "state": chosen.version().lifecycle.state(lifecycle::now()).as_str(),
                "served_by": &*self.api.versions[end].name,
            });
        }
        told
    }

    /// `dice`: from 0 to 99, for what happens to a share of the requests.
    fn decide(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        shared: &Shared,
        now: u64,
        dice: u8,
    ) -> Result<(), Error> {
        let marked = self.marked(exchange, head);
        let chosen = match self.fixed {
            Some(index) => Some((index, Why::Route)),
            None => self.api.choose(marked, self.pin(exchange, shared)),
        };
        let Some((index, why)) = chosen.filter(|(index, _)| self.serves[*index]) else {
            return Err(self.unknown(marked, now));
        };
        let told = if let Marked::Version(index) = marked { Some(index) } else { None };
        let decided = self.fixed.is_some() || (told.is_some() && !self.api.pins_come_first());
        let personal = why == Why::Pin || (!decided && self.may_be_pinned(exchange, shared));
        let chosen = Chosen { api: self.api.clone(), index, told, why, personal };
        exchange.version = Some(chosen.clone());
        match chosen.version().lifecycle.state(now) {
            State::Retired => Err(self.retired(exchange, &chosen)),
            State::Brownout { left_s, percent, status } if dice < percent => {
                Err(self.paused(exchange, &chosen, left_s, percent, status))
            }
            _ => Ok(()),
        }
    }

    fn marked(&self, exchange: &Exchange, head: &RequestHead) -> Marked {
        let route = exchange.route.as_ref();
        let text = route.map_or("", |route| route.version_text(&exchange.params, exchange.path()));
        self.api.read(&head.headers, exchange.query(), text)
    }

    /// The configuration's before the registry's.
    fn pin(&self, exchange: &Exchange, shared: &Shared) -> Option<Marked> {
        let caller = exchange.caller()?;
        self.api.pin(caller).or_else(|| {
            let registry = shared.registry.load();
            let pinned = registry.pins.get(caller)?.get(&*self.api.name)?;
            Some(self.api.find(pinned).map_or(Marked::Unknown, Marked::Version))
        })
    }

    /// Whether another consumer might have got another version by the same request.
    fn may_be_pinned(&self, exchange: &Exchange, shared: &Shared) -> bool {
        exchange.caller().is_some() && (self.api.has_pins() || !shared.registry.load().pins.is_empty())
    }

    fn unknown(&self, marked: Marked, now: u64) -> Error {
        let by = self.api.marker.describe();
        let names = self.api.names(now);
        let detail = match marked {
            Marked::Nothing => format!("Name a version of '{}' by {by}: {}", self.api.name, names.join(", ")),
            _ => format!("'{}' has no such version here, told by {by}; it has {}", self.api.name, names.join(", ")),
        };
        let error = Error::new(Kind::VersionUnknown, detail).member("versions", json!(names));
        error.status(self.api.unknown)
    }

    fn retired(&self, exchange: &Exchange, chosen: &Chosen) -> Error {
        let version = chosen.version();
        let since = http_date(version.lifecycle.sunset().unwrap_or_default());
        let detail = format!("The version '{}' of '{}' is no more since {since}", version.name, self.api.name);
        let error = Error::new(Kind::VersionRetired, detail).member("sunset", json!(since));
        self.way_out(exchange, chosen, error)
    }

    fn paused(&self, exchange: &Exchange, chosen: &Chosen, left_s: u64, percent: u8, status: u16) -> Error {
        let version = chosen.version();
        let mut detail =
            format!("The version '{}' of '{}' is switched off for a while, as announced", version.name, self.api.name);
        if let Some(sunset) = version.lifecycle.sunset() {
            detail += &format!("; it ends on {}", http_date(sunset));
        }
        let mut error = Error::new(Kind::VersionPaused, detail).status(status);
        if status == 503 {
            let (name, value) = retry_after(left_s, percent);
            error = error.header(name, value);
        }
        self.way_out(exchange, chosen, error)
    }

    fn way_out(&self, exchange: &Exchange, chosen: &Chosen, mut error: Error) -> Error {
        let version = chosen.version();
        if let Some(next) = version.successor.map(|next| &self.api.versions[next]) {
            error.detail += &format!("; '{}' takes its place", next.name);
            let mut successor = json!({"version": &*next.name});
            if let Some(link) = self.successor_url(exchange, chosen) {
                successor["href"] = link.into();
            }
            if let Some(docs) = &next.lifecycle.docs {
                successor["docs"] = (**docs).into();
            }
            error = error.member("successor", successor);
        }
        match &version.lifecycle.docs {
            Some(docs) => error.member("docs", json!(&**docs)),
            None => error,
        }
    }

    /// Which segment of the request's path names a version; None where it has been left out.
    fn segment_of(&self, exchange: &Exchange) -> Option<usize> {
        let route = exchange.route.as_ref()?;
        let told = self.fixed.is_some() || !route.version_text(&exchange.params, exchange.path()).is_empty();
        self.segment.filter(|_| told)
    }

    /// The same in the successor, where the version is in the URL.
    fn successor_url(&self, exchange: &Exchange, chosen: &Chosen) -> Option<String> {
        let next = &self.api.versions[chosen.version().successor.filter(|_| self.leads_on[chosen.index])?].name;
        let (path, query) = (exchange.path(), exchange.query());
        let (path, query) = match &self.api.marker {
            Marker::Path => (write_path(path, self.segment_of(exchange)?, Some(next)), query.map(str::to_owned)),
            marker @ Marker::Query(_) => (path.to_owned(), marker.write_query(query, Some(next))),
            Marker::Header(_) | Marker::Date(_) | Marker::Media(_) => return None,
        };
        Some(match query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{path}?{query}"),
            None => path,
        })
    }

    /// Also on errors, so that their caches and clients know too.
    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead) {
        if let Some(name) = self.api.marker.varies_by() {
            vary(&mut head.headers, name.as_str());
        }
        let Some(chosen) = &exchange.version else { return };
        if chosen.personal {
            // Who asks has decided, and no field of the request is known to say who that is.
            head.headers.insert(VARY, HeaderValue::from_static("*"));
        }
        let version = chosen.version();
        if let (Marker::Media(marker), Some(_)) = (&self.api.marker, chosen.told) {
            marker.answer(&mut head.headers, &version.name, self.api.strip);
        }
        version.lifecycle.tell(&mut head.headers);
        if version.lifecycle.deprecated().or(version.lifecycle.sunset()).is_some() {
            let next = version.successor.map(|next| &self.api.versions[next]);
            let docs = || next.and_then(|next| next.lifecycle.docs.as_deref().map(str::to_owned));
            let link = self.successor_url(exchange, chosen).or_else(docs);
            let link = link.and_then(|link| HeaderValue::try_from(format!("<{link}>; rel=\"successor-version\"")).ok());
            if let Some(link) = link {
                head.headers.append(LINK, link);
            }
        }
    }

    /// The request as the target is to have it.
    pub async fn up(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Request<Body>, Error> {
        // A cache may ask more than once.
        exchange.raised = None;
        let Some(chosen) = exchange.version.clone() else { return Ok(request) };
        let chain = &self.chains[chosen.index];
        let (mut head, mut body) = request.into_parts();
        self.mark(exchange, &chosen, chain.end, &mut head.headers);
        if !chain.steps.is_empty() {
            Box::pin(chain.up(worker, exchange, &mut head, &mut body)).await?;
        }
        Ok(Request::from_parts(head, body))
    }

    /// Lets the target see which version it is asked for, or no version at all.
    fn mark(&self, exchange: &mut Exchange, chosen: &Chosen, end: usize, headers: &mut HeaderMap) {
        let name = (!self.api.strip).then(|| &*self.api.versions[end].name);
        self.api.marker.write_headers(headers, name);
        if name.is_some() && (chosen.told == Some(end) || self.fixed == Some(end)) {
            return;
        }
        if let Some(segment) = self.segment_of(exchange) {
            let path = write_path(exchange.path(), segment, name);
            exchange.raised.get_or_insert_default().marked_path = Some(path);
        }
        if let Some(query) = self.api.marker.write_query(exchange.query(), name) {
            exchange.raised.get_or_insert_default().query = Some(query);
        }
    }

    /// The answer as the request's version has it.
    pub async fn down(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        match exchange.version.as_ref().map(|chosen| &self.chains[chosen.index]) {
            Some(chain) => chain.down(worker, exchange, answer).await,
            None => Ok(answer),
        }
    }

    /// Whether an answer has to go through `down`.
    pub fn lowers(&self, exchange: &Exchange) -> bool {
        exchange.version.as_ref().is_some_and(|chosen| !self.chains[chosen.index].steps.is_empty())
    }

    /// Where a route that leads to a cluster leads to, in place of that.
    pub fn cluster(&self, exchange: &Exchange) -> Option<&Arc<Cluster>> {
        let chain = &self.chains[exchange.version.as_ref()?.index];
        self.api.versions[chain.end].cluster.as_ref()
    }

    /// All of them.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        let served = self.chains.iter().zip(&self.serves).filter(|(_, served)| **served);
        served.filter_map(|(chain, _)| self.api.versions[chain.end].cluster.as_ref())
    }

    pub fn chain(&self, index: usize) -> Option<&Chain> {
        self.chains.get(index).filter(|_| self.serves[index])
    }
}

/// Names one more field, unless it is named already.
fn vary(headers: &mut HeaderMap, name: &str) {
    let named = headers.get_all(VARY).iter().any(|line| {
        let members = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.into_iter().any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_bytes()))
    });
    if let Some(value) = HeaderValue::from_str(name).ok().filter(|_| !named) {
        headers.append(VARY, value);
    }
}
