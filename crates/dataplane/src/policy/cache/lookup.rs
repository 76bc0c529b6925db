//! The way of a request through the cache: looked up, joined to a fetch, answered.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::{HeaderName, Method, Request, Response};

use super::collapse::{Next, Outcome};
use super::directives::TARGETED;
use super::disk::Lost;
use super::entry::{Entry, Stored};
use super::present::{Answer, Material};
use super::request::Asked;
use super::status::{Forward, Report, Use};
use super::store::Joined;
use super::{of, partial, vary, Cache, OfCall, Origin};
use crate::error::{Error, Kind};
use crate::exchange::{CallReport, Exchange};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::snapshot::CacheRanges;

/// How often a request looks again after a fetch that was not for it, before it asks for itself.
const LOOKS: usize = 4;

/// What a stored response is good for.
enum Good {
    Fresh,
    /// Stale, and the client says that it may be.
    Stale,
    /// Stale, and good while it is asked for again.
    Meanwhile,
    Not,
}

/// Where a follower is after the fetch.
enum Followed {
    Answer(Response<Body>),
    Alone,
    LookAgain,
}

impl Cache {
    /// Instead of the target. What does more than look up does so in a box of its own, so that a hit is not as large
    /// as all that could have become of it.
    pub async fn answer(
        &self,
        origin: &Origin<'_>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let (head, body) = request.into_parts();
        let directives = match self.admit(exchange, &head, &body) {
            Ok(directives) => directives,
            Err(why) => return Box::pin(self.pass(origin, exchange, Request::from_parts(head, body), why)).await,
        };
        let asked = self.asked(exchange, head, directives);
        for _ in 0..LOOKS {
            let mut found = self.store.look_up(&asked.url, &asked.primary, &asked.head.headers);
            let mut known = None;
            // A part is good for ranges within it while it is fresh, or to be made whole.
            if let Some((entry, part)) = found.entry.as_ref().and_then(|entry| Some((entry, entry.content.part()?))) {
                if !partial::answers(part, &entry.head, &asked) || !matches!(self.judge(entry, &asked), Good::Fresh) {
                    known = found.entry.take();
                }
            }
            if let Some(entry) = &found.entry {
                let how = match self.judge(entry, &asked) {
                    Good::Fresh => Some((Use::Hit, None)),
                    Good::Stale => Some((Use::Stale, Some("max-stale"))),
                    Good::Meanwhile => {
                        self.refresh(origin, exchange, &asked, &found.names, entry);
                        Some((Use::Stale, Some("stale-while-revalidate")))
                    }
                    Good::Not => None,
                };
                if let Some((how, detail)) = how {
                    match self.hit(exchange, &asked, entry, how, detail).await {
                        Ok(response) => return Ok(response),
                        // It is not there any more.
                        Err(Lost) => continue,
                    }
                }
            }
            if asked.directives.only_if_cached {
                return Err(Error::new(Kind::NotCached, "Nothing that is stored answers the request"));
            }
            let why = match &found.entry {
                Some(_) if asked.insists() => Forward::Request,
                Some(_) => Forward::Stale,
                None if known.is_some() => Forward::Partial,
                None if found.any => Forward::VaryMiss,
                None => Forward::UriMiss,
            };
            // A part of what is not there is no reason to fetch the whole, unless the route says so.
            let part = found.entry.is_none() && asked.head.headers.contains_key(RANGE);
            if asked.head.method == Method::HEAD || (part && self.ranges == CacheRanges::Pass) {
                let stored = found.entry.or(known);
                return Box::pin(self.write_through(origin, exchange, asked, found.names, stored, why)).await;
            }
            let lane = asked.lane(&found.names);
            let alone = || self.store.alone(lane.clone());
            let led = match self.store.join(&lane) {
                Joined::Lead(lead) => (lead, lane),
                Joined::Alone => alone(),
                Joined::Follow(_) if asked.insists() => alone(),
                Joined::Follow(flight) => {
                    let deadline = tokio::time::Instant::from_std(exchange.deadline);
                    let late = || Error::new(Kind::DeadlineExceeded, "The service did not answer in time");
                    match tokio::time::timeout_at(deadline, flight.follow()).await.map_err(|_| late())? {
                        Next::Lead(lead) => (lead, lane),
                        Next::Take(outcome) => {
                            match Box::pin(self.follow(exchange, &asked, outcome, found.entry.as_ref(), why)).await? {
                                Followed::Answer(answer) => return Ok(answer),
                                Followed::Alone => alone(),
                                Followed::LookAgain => continue,
                            }
                        }
                    }
                }
            };
            return Box::pin(self.lead(origin, exchange, &asked, led, found.names, found.entry.or(known), why)).await;
        }
        let lead = self.store.alone(asked.lane(&[]));
        Box::pin(self.lead(origin, exchange, &asked, lead, Vec::new(), None, Forward::VaryMiss)).await
    }

    fn judge(&self, entry: &Entry, asked: &Asked) -> Good {
        let (head, wanted) = (&entry.head, &asked.directives);
        let Some(age) = head.age().filter(|_| !head.always_asks && !wanted.no_cache) else { return Good::Not };
        let seconds = Duration::from_secs;
        let too_old = wanted.max_age.is_some_and(|most| age > seconds(most));
        match head.remaining_at(age) {
            Ok(_) if entry.is_soft() => match head.while_revalidate > Duration::ZERO {
                true => Good::Meanwhile,
                false => Good::Not,
            },
            Ok(_) if too_old && head.immutable => Good::Fresh,
            Ok(left) if too_old || wanted.min_fresh.is_some_and(|least| left < seconds(least)) => Good::Not,
            Ok(_) => Good::Fresh,
            Err(_) if too_old || entry.is_soft() => Good::Not,
            Err(over) if over <= head.while_revalidate => Good::Meanwhile,
            Err(over) if !head.strict && wanted.max_stale.is_some_and(|most| over <= seconds(most)) => Good::Stale,
            Err(_) => Good::Not,
        }
    }

    /// `Lost`: its content cannot be read, and it is not found any more.
    pub(super) async fn hit(
        &self,
        exchange: &mut Exchange,
        asked: &Asked,
        entry: &Arc<Entry>,
        how: Use,
        detail: Option<&'static str>,
    ) -> Result<Response<Body>, Lost> {
        let answer = Answer::stored(&entry.head, Material::Stored(entry.content.clone()));
        let response = answer.present(&asked.head.method, &asked.head.headers).await?;
        exchange.cache = Some(how);
        let report = Report { hit: true, detail, ..Report::default() }.of(&entry.head);
        Ok(self.told(response, report))
    }

    pub(super) fn told(&self, mut response: Response<Body>, report: Report) -> Response<Body> {
        // For this gateway, and for nobody behind it.
        response.headers_mut().remove(&TARGETED[0]);
        if self.status {
            report.append(response.headers_mut());
        }
        response
    }

    /// What another request's fetch is for this one.
    async fn follow(
        &self,
        exchange: &mut Exchange,
        asked: &Asked,
        outcome: Outcome,
        entry: Option<&Arc<Entry>>,
        why: Forward,
    ) -> Result<Followed, Error> {
        let fits = |head: &Stored| vary::select(&asked.head.headers, &head.names) == head.values;
        let report = Report { collapsed: true, forward: Some(why), ..Report::default() };
        let (head, material) = match outcome {
            Outcome::Released => return Ok(Followed::Alone),
            Outcome::Failed(error) => {
                if let Some(entry) = entry.filter(|entry| self.covers_failure(entry, asked)) {
                    if let Ok(kept) = self.hit(exchange, asked, entry, Use::Stale, Some("stale-if-error")).await {
                        return Ok(Followed::Answer(kept));
                    }
                }
                return Err(error);
            }
            Outcome::Entry(entry) if fits(&entry.head) => (entry.head.clone(), Material::Stored(entry.content.clone())),
            Outcome::Filling(filling) if fits(&filling.head) => match filling.read() {
                Some(reader) => (filling.head.clone(), Material::Reader(reader)),
                None => return Ok(Followed::Alone),
            },
            Outcome::Entry(_) | Outcome::Filling(_) => return Ok(Followed::LookAgain),
        };
        match Answer::stored(&head, material).present(&asked.head.method, &asked.head.headers).await {
            Ok(response) => {
                exchange.cache = Some(Use::Collapsed);
                Ok(Followed::Answer(self.told(response, report.of(&head))))
            }
            Err(Lost) => Ok(Followed::LookAgain),
        }
    }

    /// Stale as it is, it is better than an error (RFC 5861 §4).
    pub(super) fn covers_failure(&self, entry: &Entry, asked: &Asked) -> bool {
        let most = asked.directives.stale_if_error.filter(|_| !entry.head.strict).map(Duration::from_secs);
        let most = most.map_or(entry.head.if_error, |wanted| wanted.max(entry.head.if_error));
        let over = entry.head.remaining().err().unwrap_or_default();
        !entry.head.always_asks && !asked.directives.no_cache && !most.is_zero() && over <= most
    }

    /// Asks for it again while a stale response serves, unless somebody does so already.
    fn refresh(
        &self,
        origin: &Origin<'_>,
        exchange: &Exchange,
        asked: &Asked,
        names: &[HeaderName],
        entry: &Arc<Entry>,
    ) {
        let lane = asked.lane(names);
        let Joined::Lead(lead) = self.store.join(&lane) else { return };
        let (worker, route, entry, names) =
            (origin.worker.clone(), origin.route.clone(), entry.clone(), names.to_vec());
        let mut exchange = exchange.again();
        let asked = asked.in_background();
        let call = origin.call.as_ref().map(|call| call.index);
        tokio::task::spawn_local(async move {
            let Some(policy) = of(&route, call) else { return };
            let report = RefCell::new(CallReport::new("".into()));
            let call = call.map(|index| OfCall { index, report: &report });
            let origin = Origin { worker: &worker, link: None, route: &route, interim: None, call };
            let led = policy.lead(&origin, &mut exchange, &asked, (lead, lane), names, Some(entry), Forward::Stale);
            // Whoever still waits for it has been told.
            let _outcome = Box::pin(led).await;
        });
    }
}

impl Asked {
    /// The same without its client's conditions.
    fn in_background(&self) -> Asked {
        let mut head: RequestHead = self.head.clone();
        head.method = Method::GET;
        [RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().for_each(|name| {
            head.headers.remove(name);
        });
        Asked {
            head,
            url: self.url.clone(),
            primary: self.primary.clone(),
            directives: Default::default(),
            authorized: self.authorized,
            cookies: self.cookies,
        }
    }
}
