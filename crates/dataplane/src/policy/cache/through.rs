//! Requests that go on to the service as they are: past the cache, or for HEAD or a part of what is not there.

use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderName, Method, Request, Response, StatusCode};

use super::entry::Entry;
use super::lead::{moment, ASKS};
use super::request::{withheld, Asked};
use super::status::{Forward, Report, Use};
use super::{condition, invalidate, vary, Cache, Origin};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;

impl Cache {
    /// Past the cache, in full. A write that succeeds invalidates.
    pub(super) async fn pass(
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
            invalidate::after(&self.store, exchange, response.status(), response.headers(), &self.invalidates).await;
        }
        Ok(self.told(response, Report { forward: Some(why), ..Report::default() }))
    }

    /// HEAD, whose answer may tell something of what is stored, or a range, whose part or whole is stored.
    pub(super) async fn write_through(
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
        // Told of what is invalidated meanwhile.
        let mut led = (asked.head.method == Method::GET).then(|| self.store.alone(asked.lane(&names)));
        for ask in 1.. {
            let mut request = self.fetch(exchange, &asked, &names, None);
            *request.method_mut() = asked.head.method.clone();
            for name in [RANGE, IF_RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE] {
                request.headers_mut().extend(asked.head.headers.get(&name).map(|value| (name, value.clone())));
            }
            let told = request.headers().clone();
            let (epoch, sent) = (self.store.groups.epoch(), Instant::now());
            let response = origin.ask(exchange, request).await?;
            let varies = vary::names(response.headers());
            let missing = withheld(&asked.head.headers, &told, varies.as_deref().unwrap_or_default());
            if !missing.is_empty() && ask < ASKS {
                names.extend(missing);
                continue;
            }
            if let (true, Some(led), Some(varies)) = (missing.is_empty(), led.take(), varies) {
                let moment = moment(sent);
                match response.status() {
                    StatusCode::PARTIAL_CONTENT => {
                        let moments = (moment, epoch);
                        return Ok(self.settle_part(origin, &asked, led, response, (varies, moments), entry, why));
                    }
                    // The service does not serve parts, or not of this.
                    StatusCode::OK => {
                        return self.settle(origin, &asked, led, response, (varies, moment, epoch), why).await
                    }
                    _ => {}
                }
            }
            let about = asked.head.method == Method::HEAD && response.status() == StatusCode::OK && missing.is_empty();
            if let Some(entry) = entry.filter(|entry| about && !asked.is_personal() && entry.content.part().is_none()) {
                self.freshen_by_head(&asked, &entry, &response, epoch, sent);
            }
            return Ok(self.told(response, Report { forward: Some(why), ..Report::default() }));
        }
        Err(Error::new(Kind::Internal, "The service was asked without end"))
    }

    /// RFC 9111 §4.3.5: what HEAD says of the stored response, or that this is not what there is any more.
    fn freshen_by_head(&self, asked: &Asked, entry: &Entry, response: &Response<Body>, epoch: u64, sent: Instant) {
        let headers = response.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let same = condition::is_about(headers, &entry.head.headers)
            && length.is_none_or(|length: u64| length == entry.content.length());
        let lane = asked.lane(&[]);
        if same {
            let terms = self.terms(entry.head.status);
            let moment = moment(sent);
            let head = entry.head.freshened(headers, &terms, moment, epoch);
            if self.may_keep(&head, asked, moment) {
                self.store.put(&lane, None, Entry::new(Arc::new(head), entry.content.clone()), self.variants);
            }
        } else {
            entry.soften();
        }
    }
}
