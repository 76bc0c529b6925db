//! A fetch on behalf of all who ask: asked, stored at once or while it comes in, or released.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::COOKIE;
use http::{HeaderName, Response, StatusCode};
use http_body::Body as _;

use super::collapse::{Lead, Outcome};
use super::content::Content;
use super::disk::Lost;
use super::entry::{self, Entry, Stored, CONFIDENTIAL};
use super::filling::{Filling, Plan};
use super::freshness::{unix_seconds, Moment};
use super::present::{Answer, Material};
use super::request::{told_apart, withheld, Asked};
use super::status::{Forward, Report, Use};
use super::store::Lane;
use super::{condition, partial, vary, Cache, Origin};
use crate::error::{self, Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;

/// How often the service is asked again with what its answer varies by.
pub(super) const ASKS: usize = 3;

impl Cache {
    /// What of the request in hand is to be as its key says.
    pub(super) fn prepare(&self, exchange: &mut Exchange, asked: &Asked) {
        exchange.withhold_identity = self.share_consumers;
        if let Some(target) = asked.url.target() {
            exchange.target = target;
        }
    }

    /// An answer of the service as this client asked for it, whose conditions the service did not see.
    async fn fetched(&self, asked: &Asked, response: Response<Body>, report: Report) -> Result<Response<Body>, Error> {
        let (head, body) = response.into_parts();
        let (status, material) = (head.status, Material::Body(body));
        let answer = Answer { status, headers: head.headers, material, received_s: now_s() };
        self.presented(answer, asked, report).await
    }

    /// What is in memory can be read.
    async fn presented(&self, answer: Answer, asked: &Asked, report: Report) -> Result<Response<Body>, Error> {
        let presented = answer.present(&asked.head.method, &asked.head.headers).await;
        let lost = |Lost| Error::new(Kind::Internal, "what is stored of the response cannot be read");
        presented.map(|response| self.told(response, report)).map_err(lost)
    }

    /// Asks the service on behalf of all who follow.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn lead(
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
        // What is stored in part is made whole, or forgotten.
        let (mut part, stored) = match stored {
            Some(entry) if entry.content.part().is_some() => (Some(entry), None),
            stored => (None, stored),
        };
        let mut validated = stored.clone().filter(|entry| entry.head.has_validator());
        let mut asks = 0;
        loop {
            asks += 1;
            let mut request = self.fetch(exchange, asked, &names, validated.as_ref().map(|entry| &*entry.head));
            if let Some(part) = &part {
                partial::ask_rest(&mut request, part);
            }
            let told = request.headers().clone();
            let (epoch, sent) = (self.store.groups.epoch(), Instant::now());
            let answer = origin.ask(exchange, request).await;
            let moment = moment(sent);
            let failed = match &answer {
                Ok(response) => matches!(response.status().as_u16(), 500 | 502 | 503 | 504),
                Err(error) => error.kind.source() != error::Source::Downstream,
            };
            if let Some(entry) = stored.as_ref().filter(|entry| failed && self.covers_failure(entry, asked)) {
                if let Ok(kept) = self.hit(exchange, asked, entry, Use::Stale, Some("stale-if-error")).await {
                    self.finish(&lane, lead, Outcome::Entry(entry.clone()));
                    return Ok(kept);
                }
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
            let response = match part.take() {
                None => response,
                Some(part) => match partial::completed(&part, response) {
                    Some(response) => response,
                    None => continue,
                },
            };
            if let Some(entry) = validated.take_if(|_| response.status() == StatusCode::NOT_MODIFIED) {
                if !condition::is_about(response.headers(), &entry.head.headers) && asks < ASKS {
                    continue;
                }
                let terms = self.terms(entry.head.status);
                let head = entry.head.freshened(response.headers(), &terms, moment, epoch);
                let stored = self.may_keep(&head, asked, moment);
                let entry = Entry::new(Arc::new(head), entry.content.clone());
                let answer = Answer::stored(&entry.head, Material::Stored(entry.content.clone()));
                // What is still good and cannot be read is asked for in full.
                let Ok(response) = answer.present(&asked.head.method, &asked.head.headers).await else { continue };
                if stored {
                    self.store.put(&lane, lead.flight(), entry.clone(), self.variants);
                    self.finish(&lane, lead, Outcome::Entry(entry.clone()));
                } else {
                    self.store.do_not_share(&lane);
                    self.finish(&lane, lead, Outcome::Released);
                }
                exchange.cache = Some(Use::Revalidated);
                let report = Report { forward: Some(why), status: Some(304), stored, ..Report::default() };
                return Ok(self.told(response, report.of(&entry.head)));
            }
            let varies = vary::names(response.headers());
            let missing = varies.as_ref().map(|varies| withheld(&asked.head.headers, &told, varies));
            match missing {
                Some(missing) if !missing.is_empty() && asks < ASKS => {
                    names.extend(missing);
                    continue;
                }
                Some(missing) if !missing.is_empty() => return self.release(asked, (lead, lane), response, why).await,
                _ => {}
            }
            return match varies {
                Some(varies) => self.settle(origin, asked, (lead, lane), response, (varies, moment, epoch), why).await,
                None => self.release(asked, (lead, lane), response, why).await,
            };
        }
    }

    /// Whether what a 304 or an answer to HEAD has made of a stored response is for all as well: it may set a cookie, or say
    /// that it is for one alone. Its content is what was stored, whatever cookies asked.
    pub(super) fn may_keep(&self, head: &Stored, asked: &Asked, moment: Moment) -> bool {
        let rights = entry::Rights { authorized: asked.authorized, cookies: false, set_cookies: self.set_cookies };
        entry::may_store(head.status, &head.headers, &rights, &self.terms(head.status), moment)
    }

    fn finish(&self, lane: &Lane, lead: Lead, outcome: Outcome) {
        if let Some(flight) = lead.flight() {
            self.store.close(lane, flight);
        }
        lead.end(outcome);
    }

    /// The answer is for one alone: all others ask for themselves, now and for a while.
    async fn release(
        &self,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        response: Response<Body>,
        why: Forward,
    ) -> Result<Response<Body>, Error> {
        self.store.do_not_share(&lane);
        self.finish(&lane, lead, Outcome::Released);
        let report = Report { forward: Some(why), status: Some(response.status().as_u16()), ..Report::default() };
        self.fetched(asked, response, report).await
    }

    /// Stores an answer, at once or while it comes in, if it may be stored.
    pub(super) async fn settle(
        &self,
        origin: &Origin<'_>,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        response: Response<Body>,
        (varies, moment, epoch): (Arc<[HeaderName]>, Moment, u64),
        why: Forward,
    ) -> Result<Response<Body>, Error> {
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
            return self.release(asked, (lead, lane), response, why).await;
        }
        self.store.share(&lane);
        let varies = told_apart(status, varies);
        let values = vary::select(&asked.head.headers, &varies);
        let confidential = self.confidential || varies.iter().any(|name| CONFIDENTIAL.contains(name));
        let from = if confidential { u64::MAX } else { self.store.tier.from() };
        let head = Arc::new(Stored::new(status, response.headers(), (varies, values), &terms, moment, epoch));
        let report = Report { forward: Some(why), status: Some(status.as_u16()), stored: true, ..Report::default() };
        let report = report.of(&head);
        let (parts, body) = response.into_parts();
        let material = match body.whole().filter(|whole| (whole.len() as u64) < from) {
            Some(whole) => {
                let entry = Entry::new(head, Content::Memory(bytes::Bytes::copy_from_slice(&whole)));
                self.store.put(&lane, lead.flight(), entry.clone(), self.variants);
                self.finish(&lane, lead, Outcome::Entry(entry));
                Material::Body(Body::full(whole))
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
                    let plan = Plan { most, from, disk: &|| store.disk(), room: &|| store.has_room(), passing: &close };
                    if let Some(content) = filling.fill(body, plan).await {
                        store.put(&lane, flight.as_ref(), Entry::new(head, content), variants);
                    }
                    drop(route);
                });
                reader.map_or_else(|| Material::Body(Body::empty()), Material::Reader)
            }
        };
        let headers = parts.headers;
        let answer = Answer { status, headers, material, received_s: moment.received_s };
        self.presented(answer, asked, report).await
    }
}

/// However it ends: nobody joins a fetch that is over.
struct Closing<'a>(&'a dyn Fn());

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn now_s() -> u64 {
    unix_seconds(SystemTime::now())
}

pub(super) fn moment(sent: Instant) -> Moment {
    Moment { received_s: now_s(), delay: sent.elapsed() }
}
