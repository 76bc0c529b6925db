//! The way of a request through the cache: looked up, joined to a fetch, fetched, stored, presented.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::collapse::{Lead, Next, Outcome};
use super::directives::TARGETED;
use super::entry::{self, Entry, Stored};
use super::filling::Filling;
use super::freshness::{unix_seconds, Moment};
use super::present::Answer;
use super::request::{withheld, Asked};
use super::status::{Forward, Report, Use};
use super::store::{Joined, Lane};
use super::{condition, invalidate, vary, Cache, Origin};
use crate::error::{self, Error, Kind};
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::protocol::body::Body;

/// How often a request looks again after a fetch that was not for it, before it asks for itself.
const LOOKS: usize = 4;
/// How often the service is asked again with what its answer varies by.
const ASKS: usize = 3;

/// What a stored response is good for.
enum Good {
    Fresh,
    /// Stale, and the client says that it may be.
    Stale,
    /// Stale, and good while it is asked for again.
    Meanwhile,
    Not,
}

impl Cache {
    /// Instead of the target.
    pub async fn answer(
        &self,
        origin: &Origin<'_>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let (head, body) = request.into_parts();
        if let Some(why) = self.passes(exchange, &head, &body) {
            return self.pass(origin, exchange, Request::from_parts(head, body), why).await;
        }
        let asked = self.asked(exchange, head);
        for _ in 0..LOOKS {
            let found = self.store.look_up(&asked.url, &asked.primary, &asked.head.headers);
            if let Some(entry) = &found.entry {
                match self.judge(entry, &asked) {
                    Good::Fresh => return Ok(self.hit(exchange, &asked, entry, Use::Hit, None)),
                    Good::Stale => return Ok(self.hit(exchange, &asked, entry, Use::Stale, Some("max-stale"))),
                    Good::Meanwhile => {
                        self.refresh(origin, exchange, &asked, &found.names, entry);
                        return Ok(self.hit(exchange, &asked, entry, Use::Stale, Some("stale-while-revalidate")));
                    }
                    Good::Not => {}
                }
            }
            if asked.directives.only_if_cached {
                return Err(Error::new(Kind::NotCached, "Nothing that is stored answers the request"));
            }
            let why = match &found.entry {
                Some(_) if asked.insists() => Forward::Request,
                Some(_) => Forward::Stale,
                None if found.any => Forward::VaryMiss,
                None => Forward::UriMiss,
            };
            // A part of what is not there is no reason to fetch the whole.
            if asked.head.method == Method::HEAD || (found.entry.is_none() && asked.head.headers.contains_key(RANGE)) {
                return self.write_through(origin, exchange, asked, found.names, found.entry, why).await;
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
                        Next::Take(outcome) => match self.follow(exchange, &asked, outcome, found.entry.as_ref())? {
                            Followed::Answer(answer) => return Ok(answer),
                            Followed::Alone => alone(),
                            Followed::LookAgain => continue,
                        },
                    }
                }
            };
            return self.lead(origin, exchange, &asked, led, found.names, found.entry, why).await;
        }
        let lead = self.store.alone(asked.lane(&[]));
        self.lead(origin, exchange, &asked, lead, Vec::new(), None, Forward::VaryMiss).await
    }

    fn judge(&self, entry: &Entry, asked: &Asked) -> Good {
        let (head, wanted) = (&entry.head, &asked.directives);
        let Some(age) = head.age().filter(|_| !head.always_asks && !wanted.no_cache) else { return Good::Not };
        let seconds = Duration::from_secs;
        let too_old = wanted.max_age.is_some_and(|most| age > seconds(most));
        match head.remaining() {
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

    fn hit(
        &self,
        exchange: &mut Exchange,
        asked: &Asked,
        entry: &Arc<Entry>,
        how: Use,
        detail: Option<&'static str>,
    ) -> Response<Body> {
        exchange.cache = Some(how);
        let answer = Answer::stored(&entry.head, Body::full(entry.body.clone()));
        let report = Report { hit: true, detail, ..Report::default() }.of(&entry.head);
        self.told(answer.present(&asked.head.method, &asked.head.headers), report)
    }

    fn told(&self, mut response: Response<Body>, report: Report) -> Response<Body> {
        // For this gateway, and for nobody behind it.
        response.headers_mut().remove(&TARGETED[0]);
        if self.status {
            report.append(response.headers_mut());
        }
        response
    }

    /// Past the cache, in full. A write that succeeds invalidates.
    async fn pass(
        &self,
        origin: &Origin<'_>,
        exchange: &mut Exchange,
        request: Request<Body>,
        why: Forward,
    ) -> Result<Response<Body>, Error> {
        exchange.cache = Some(Use::Pass);
        let safe = invalidate::is_safe(request.method());
        let response = origin.ask(exchange, request).await?;
        if !safe {
            invalidate::after(&self.store, exchange, response.status(), response.headers(), &self.invalidates);
        }
        Ok(self.told(response, Report { forward: Some(why), ..Report::default() }))
    }

    /// A request whose own answer is not stored, but which may tell something of what is: HEAD, or a part.
    async fn write_through(
        &self,
        origin: &Origin<'_>,
        exchange: &mut Exchange,
        asked: Asked,
        mut names: Vec<HeaderName>,
        entry: Option<Arc<Entry>>,
        why: Forward,
    ) -> Result<Response<Body>, Error> {
        exchange.cache = Some(Use::Miss);
        self.prepare(exchange, &asked);
        for ask in 1.. {
            let mut request = self.fetch(exchange, &asked, &names, None);
            *request.method_mut() = asked.head.method.clone();
            for name in [RANGE, IF_RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE] {
                request.headers_mut().extend(asked.head.headers.get(&name).map(|value| (name, value.clone())));
            }
            let told = request.headers().clone();
            let (epoch, sent) = (self.store.groups.epoch(), Instant::now());
            let response = origin.ask(exchange, request).await?;
            let varies = vary::names(response.headers()).unwrap_or_else(|| [].into());
            let missing = withheld(&asked.head.headers, &told, &varies);
            if !missing.is_empty() && ask < ASKS {
                names.extend(missing);
                continue;
            }
            let about = asked.head.method == Method::HEAD && response.status() == StatusCode::OK && missing.is_empty();
            if let Some(entry) = entry.filter(|_| about && !asked.is_personal()) {
                self.freshen_by_head(&asked, &entry, &response, epoch, sent);
            }
            return Ok(self.told(response, Report { forward: Some(why), ..Report::default() }));
        }
        Err(Error::new(Kind::Internal, "The service was asked without end"))
    }

    /// RFC 9111 §4.3.5: what HEAD says of the stored response, or that this is not what there is any more.
    fn freshen_by_head(&self, asked: &Asked, entry: &Entry, response: &Response<Body>, epoch: u64, sent: Instant) {
        let headers = response.headers();
        let length = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let same = condition::is_about(headers, &entry.head.headers)
            && length.is_none_or(|length: usize| length == entry.body.len());
        let lane = asked.lane(&[]);
        if same {
            let terms = self.terms(entry.head.status);
            let head = entry.head.freshened(headers, &terms, moment(sent), epoch);
            self.store.put(&lane, None, Entry::new(Arc::new(head), entry.body.clone()), self.variants);
        } else {
            entry.soften();
        }
    }

    /// What of the request in hand is to be as its key says.
    fn prepare(&self, exchange: &mut Exchange, asked: &Asked) {
        exchange.withhold_identity = self.share_consumers;
        if let Some(target) = asked.url.target() {
            exchange.target = target;
        }
    }

    /// An answer of the service as this client asked for it, whose conditions the service did not see.
    fn fetched(&self, asked: &Asked, response: Response<Body>, report: Report) -> Response<Body> {
        let (head, body) = response.into_parts();
        let answer = Answer { status: head.status, headers: head.headers, body, received_s: now_s() };
        self.told(answer.present(&asked.head.method, &asked.head.headers), report)
    }

    /// What another request's fetch is for this one.
    fn follow(
        &self,
        exchange: &mut Exchange,
        asked: &Asked,
        outcome: Outcome,
        entry: Option<&Arc<Entry>>,
    ) -> Result<Followed, Error> {
        let fits = |head: &Stored| vary::select(&asked.head.headers, &head.names) == head.values;
        let report = Report { collapsed: true, forward: Some(Forward::UriMiss), ..Report::default() };
        let (head, body) = match outcome {
            Outcome::Released => return Ok(Followed::Alone),
            Outcome::Failed(error) => {
                return match entry.filter(|entry| self.covers_failure(entry, asked)) {
                    Some(entry) => {
                        let answer = self.hit(exchange, asked, entry, Use::Stale, Some("stale-if-error"));
                        Ok(Followed::Answer(answer))
                    }
                    None => Err(error),
                }
            }
            Outcome::Entry(entry) if fits(&entry.head) => (entry.head.clone(), Body::full(entry.body.clone())),
            Outcome::Filling(filling) if fits(&filling.head) => match filling.read() {
                Some(reader) => (filling.head.clone(), Body::stream(reader)),
                None => return Ok(Followed::Alone),
            },
            Outcome::Entry(_) | Outcome::Filling(_) => return Ok(Followed::LookAgain),
        };
        exchange.cache = Some(Use::Collapsed);
        let answer = Answer::stored(&head, body).present(&asked.head.method, &asked.head.headers);
        Ok(Followed::Answer(self.told(answer, report.of(&head))))
    }

    /// Asks the service on behalf of all who follow.
    #[allow(clippy::too_many_arguments)]
    async fn lead(
        &self,
        origin: &Origin<'_>,
        exchange: &mut Exchange,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        mut names: Vec<HeaderName>,
        stored: Option<Arc<Entry>>,
        why: Forward,
    ) -> Result<Response<Body>, Error> {
        exchange.cache = Some(Use::Miss);
        self.prepare(exchange, asked);
        let mut validated = stored.clone().filter(|entry| entry.head.has_validator());
        let mut asks = 0;
        loop {
            asks += 1;
            let request = self.fetch(exchange, asked, &names, validated.as_ref().map(|entry| &*entry.head));
            let told = request.headers().clone();
            let (epoch, sent) = (self.store.groups.epoch(), Instant::now());
            let answer = origin.ask(exchange, request).await;
            let moment = moment(sent);
            let failed = match &answer {
                Ok(response) => matches!(response.status().as_u16(), 500 | 502 | 503 | 504),
                Err(error) => error.kind.source() != error::Source::Downstream,
            };
            if let Some(entry) = stored.as_ref().filter(|entry| failed && self.covers_failure(entry, asked)) {
                self.finish(&lane, lead, Outcome::Entry(entry.clone()));
                return Ok(self.hit(exchange, asked, entry, Use::Stale, Some("stale-if-error")));
            }
            let response = match answer {
                Ok(response) => response,
                // The client's own fault says nothing of the others': the lead passes on.
                Err(error) if !failed => return Err(error),
                Err(error) => {
                    self.finish(&lane, lead, Outcome::Failed(error.clone()));
                    return Err(error);
                }
            };
            if let Some(entry) = validated.take_if(|_| response.status() == StatusCode::NOT_MODIFIED) {
                if !condition::is_about(response.headers(), &entry.head.headers) && asks < ASKS {
                    continue;
                }
                let terms = self.terms(entry.head.status);
                let head = entry.head.freshened(response.headers(), &terms, moment, epoch);
                let entry = Entry::new(Arc::new(head), entry.body.clone());
                self.store.put(&lane, lead.flight(), entry.clone(), self.variants);
                self.finish(&lane, lead, Outcome::Entry(entry.clone()));
                exchange.cache = Some(Use::Revalidated);
                let report = Report { forward: Some(why), status: Some(304), stored: true, ..Report::default() };
                let answer = Answer::stored(&entry.head, Body::full(entry.body.clone()));
                let answer = answer.present(&asked.head.method, &asked.head.headers);
                return Ok(self.told(answer, report.of(&entry.head)));
            }
            let varies = vary::names(response.headers());
            let missing = varies.as_ref().map(|varies| withheld(&asked.head.headers, &told, varies));
            match missing {
                Some(missing) if !missing.is_empty() && asks < ASKS => {
                    names.extend(missing);
                    continue;
                }
                Some(missing) if !missing.is_empty() => return Ok(self.release(asked, (lead, lane), response, why)),
                _ => {}
            }
            return Ok(match varies {
                Some(varies) => self.settle(origin, asked, (lead, lane), response, (varies, moment, epoch), why),
                None => self.release(asked, (lead, lane), response, why),
            });
        }
    }

    fn finish(&self, lane: &Lane, lead: Lead, outcome: Outcome) {
        if let Some(flight) = lead.flight() {
            self.store.close(lane, flight);
        }
        lead.end(outcome);
    }

    /// The answer is for one alone: all others ask for themselves, now and for a while.
    fn release(
        &self,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        response: Response<Body>,
        why: Forward,
    ) -> Response<Body> {
        self.store.do_not_share(&lane);
        self.finish(&lane, lead, Outcome::Released);
        let report = Report { forward: Some(why), status: Some(response.status().as_u16()), ..Report::default() };
        self.fetched(asked, response, report)
    }

    /// Stores an answer, at once or while it comes in, if it may be stored.
    fn settle(
        &self,
        origin: &Origin<'_>,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        response: Response<Body>,
        (varies, moment, epoch): (Arc<[HeaderName]>, Moment, u64),
        why: Forward,
    ) -> Response<Body> {
        let (status, terms) = (response.status(), self.terms(response.status()));
        let rights = entry::Rights {
            authorized: asked.authorized,
            // Whoever asks first must not make the answer for all by a cookie, whatever the answer says.
            cookies: asked.cookies && !varies.contains(&COOKIE),
            set_cookies: self.set_cookies,
        };
        let length = response.body().size_hint().exact();
        if !entry::may_store(status, response.headers(), &rights, &terms, moment)
            || length.is_some_and(|length| length > self.object_bytes)
            || lead.is_doomed()
        {
            return self.release(asked, (lead, lane), response, why);
        }
        self.store.share(&lane);
        let values = vary::select(&asked.head.headers, &varies);
        let head = Arc::new(Stored::new(status, response.headers(), (varies, values), &terms, moment, epoch));
        let report = Report { forward: Some(why), status: Some(status.as_u16()), stored: true, ..Report::default() };
        let report = report.of(&head);
        let (parts, body) = response.into_parts();
        let body = match body.whole() {
            Some(whole) => {
                let entry = Entry::new(head, bytes::Bytes::copy_from_slice(&whole));
                self.store.put(&lane, lead.flight(), entry.clone(), self.variants);
                self.finish(&lane, lead, Outcome::Entry(entry));
                Body::full(whole)
            }
            None => {
                let filling = Filling::new(head.clone(), length);
                let reader = filling.read();
                let (store, flight, most) = (self.store.clone(), lead.flight().cloned(), self.object_bytes);
                let variants = self.variants;
                lead.end(Outcome::Filling(filling.clone()));
                let route = origin.route.clone();
                tokio::task::spawn_local(async move {
                    let close = || flight.iter().for_each(|flight| store.close(&lane, flight));
                    let _closing = Closing(&close);
                    if let Some(whole) = filling.fill(body, most, &close).await {
                        store.put(&lane, flight.as_ref(), Entry::new(head, whole), variants);
                    }
                    drop(route);
                });
                reader.map_or_else(Body::empty, Body::stream)
            }
        };
        let answer = Answer { status, headers: parts.headers, body, received_s: moment.received_s };
        self.told(answer.present(&asked.head.method, &asked.head.headers), report)
    }

    /// Stale as it is, it is better than an error (RFC 5861 §4).
    fn covers_failure(&self, entry: &Entry, asked: &Asked) -> bool {
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
        tokio::task::spawn_local(async move {
            let Some(policy) = &route.policies.cache else { return };
            let origin = Origin { worker: &worker, link: None, route: &route, interim: None };
            let led = policy.lead(&origin, &mut exchange, &asked, (lead, lane), names, Some(entry), Forward::Stale);
            // Whoever still waits for it has been told.
            let _outcome = Box::pin(led).await;
        });
    }
}

/// Where a follower is after the fetch.
enum Followed {
    Answer(Response<Body>),
    Alone,
    LookAgain,
}

/// However it ends: nobody joins a fetch that is over.
struct Closing<'a>(&'a dyn Fn());

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        (self.0)();
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

fn now_s() -> u64 {
    unix_seconds(SystemTime::now())
}

fn moment(sent: Instant) -> Moment {
    Moment { received_s: now_s(), delay: sent.elapsed() }
}
