//! Parts of responses (206): stored, joined with others of the same, made whole, and what they are good for (RFC 9111 §3.3
//! and §3.4, RFC 9110 §15.3.7).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, COOKIE, ETAG, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::collapse::Lead;
use super::content::{Content, Part};
use super::entry::{self, Entry, Stored};
use super::filling::{Filling, Plan};
use super::freshness::Moment;
use super::range::{self, Parts};
use super::request::Asked;
use super::status::{Forward, Report};
use super::store::Lane;
use super::{condition, vary, Cache, Origin};
use crate::protocol::body::Body;

/// First byte, the one behind the last, and of how many, as `Content-Range` tells them; None where they are not all told.
pub fn told(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let mut lines = headers.get_all(CONTENT_RANGE).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (range, total) = line.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total) = (number(first)?, number(last)?, number(total)?);
    (first <= last && last < total).then_some((first, last + 1, total))
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// That two responses have in common only if they are parts of one.
pub fn strong_tag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""))
}

/// The head of the whole that it is a part of.
pub fn head_of_whole(headers: &HeaderMap) -> HeaderMap {
    let mut whole = headers.clone();
    whole.remove(CONTENT_RANGE);
    whole.remove(CONTENT_LENGTH);
    whole
}

/// Whether a stored part answers it.
pub fn answers(part: &Part, head: &Stored, asked: &Asked) -> bool {
    let headers = &asked.head.headers;
    if !headers.contains_key(RANGE) || !condition::range_holds(headers, &head.headers) {
        return false;
    }
    match range::parse(headers, part.total) {
        Parts::Some(ranges) => ranges.iter().all(|range| part.holds(range)),
        Parts::Whole | Parts::Unsatisfiable => false,
    }
}

/// A stored part from the beginning, of which the rest alone is to be asked for.
pub fn to_complete(entry: &Entry) -> Option<&Part> {
    strong_tag(&entry.head.headers)?;
    entry.content.part().filter(|part| part.first == 0)
}

/// Asks for what is missing, if it is still a part of the same; for all of it otherwise.
pub fn ask_rest(request: &mut Request<Body>, entry: &Entry) {
    let (Some(part), Some(tag)) = (to_complete(entry), strong_tag(&entry.head.headers)) else { return };
    let range = HeaderValue::try_from(format!("bytes={}-", part.end())).ok();
    request.headers_mut().extend(range.map(|range| (RANGE, range)));
    request.headers_mut().insert(IF_RANGE, tag.clone());
}

/// The whole, where what came is the rest; None where it is a part of something else, or none.
pub fn completed(entry: &Entry, response: Response<Body>) -> Option<Response<Body>> {
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::RANGE_NOT_SATISFIABLE => return None,
        _ => return Some(response),
    }
    let part = to_complete(entry)?;
    let same = strong_tag(response.headers()) == strong_tag(&entry.head.headers);
    let (first, end, total) = told(response.headers())?;
    if !same || first != part.end() || end != total || total != part.total {
        return None;
    }
    let (mut head, rest) = response.into_parts();
    // A length that does not fit would make one response of two.
    if http_body::Body::size_hint(&rest).exact().is_some_and(|length| length != end - first) {
        return None;
    }
    head.status = StatusCode::OK;
    head.headers = head_of_whole(&head.headers);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(total));
    Some(Response::from_parts(head, Body::again(part.bytes.clone(), rest, None)))
}

impl Cache {
    /// A part that goes to the client while it is stored, if it may be. Many parts in one are not looked into.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn settle_part(
        &self,
        origin: &Origin<'_>,
        asked: &Asked,
        (lead, lane): (Lead, Lane),
        response: Response<Body>,
        (varies, (moment, epoch)): (Arc<[HeaderName]>, (Moment, u64)),
        known: Option<Arc<Entry>>,
        why: Forward,
    ) -> Response<Body> {
        let report = Report { forward: Some(why), status: Some(206), ..Report::default() };
        let (head, body) = response.into_parts();
        let terms = self.terms(StatusCode::OK);
        let headers = head_of_whole(&head.headers);
        let rights = entry::Rights {
            authorized: asked.authorized,
            cookies: asked.cookies && !varies.contains(&COOKIE),
            set_cookies: self.set_cookies,
        };
        let told = told(&head.headers).filter(|(first, end, _)| end - first <= self.object_bytes);
        let told = told.filter(|_| entry::may_store(StatusCode::OK, &headers, &rights, &terms, moment));
        let Some(told) = told else { return self.told(Response::from_parts(head, body), report) };
        let values = vary::select(&asked.head.headers, &varies);
        let stored = Arc::new(Stored::new(StatusCode::OK, &headers, (varies, values), &terms, moment, epoch));
        let filling = Filling::new(stored.clone(), http_body::Body::size_hint(&body).exact());
        let reader = filling.read();
        let report = Report { stored: true, ..report }.of(&stored);
        let (store, route, most) = (self.store.clone(), origin.route.clone(), told.1 - told.0);
        tokio::task::spawn_local(async move {
            let plan = Plan { most, from: u64::MAX, disk: &|| None, room: &|| true, passing: &|| () };
            let content = filling.fill(body, plan).await;
            let bytes = content.and_then(|content| match content {
                Content::Memory(bytes) => Some(bytes),
                Content::Disk(_) | Content::Part(_) => None,
            });
            if let (Some(policy), Some(part)) = (&route.policies.cache, bytes.and_then(|bytes| part_of(bytes, told))) {
                let content = policy.with_stored(known.as_deref(), &stored, part);
                store.put(&lane, lead.flight(), Entry::new(stored, content), policy.variants);
            }
            lead.flight().into_iter().for_each(|flight| store.close(&lane, flight));
        });
        let body = reader.map_or_else(Body::empty, Body::stream);
        self.told(Response::from_parts(head, body), report)
    }

    /// What is stored of a part that has come: joined with what is there of the same, where validators say so.
    fn with_stored(&self, stored: Option<&Entry>, head: &Stored, part: Part) -> Content {
        let same = |entry: &&Entry| {
            let tag = strong_tag(&entry.head.headers);
            tag.is_some() && tag == strong_tag(&head.headers)
        };
        let known = stored.filter(same).and_then(|entry| entry.content.part());
        let joined = known.and_then(|known| known.joined(&part));
        joined.filter(|joined| joined.bytes.len() as u64 <= self.object_bytes).unwrap_or(part).content()
    }
}

/// As many bytes as were told; None where others came.
fn part_of(bytes: Bytes, (first, end, total): (u64, u64, u64)) -> Option<Part> {
    (bytes.len() as u64 == end - first).then_some(Part { first, bytes, total })
}
