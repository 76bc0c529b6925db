//! A request as the cache sees it: whether it may be answered from the store, its key, and what of it goes on to the
//! service. From a request whose answer may be shared nothing reaches the service that is not in the key, but for what
//! the configuration names: else whoever asks first could make everybody's answer.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;

use super::condition;
use super::directives::RequestDirectives;
use super::entry::Stored;
use super::key::{Part, Primary, Url};
use super::status::Forward;
use super::store::Lane;
use super::vary::Normal;
use super::{By, Cache};
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::protocol::body::Body;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Negotiation: responses that depend on it say so in `Vary`. They go on in their normal form.
static NEGOTIATION: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE];

/// Goes on as it is. An answer to a request with the first is stored only where it says that it is for all, with the second
/// only where it says that it varies by it; the others say nothing that an answer is made of.
static PLAIN: [HeaderName; 8] = [
    AUTHORIZATION,
    COOKIE,
    CACHE_CONTROL,
    PRAGMA,
    VIA,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Of these, what a client can make a service stumble over. What is not here is the gateway's own word, or is checked by it.
static FREE: [HeaderName; 5] = [AUTHORIZATION, CACHE_CONTROL, PRAGMA, VIA, HeaderName::from_static("tracestate")];

/// The cache's own business, also where `Vary` names it.
static OWN: [HeaderName; 7] = [HOST, RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];

/// A request that may be answered from the store.
pub struct Asked {
    pub head: RequestHead,
    pub url: Arc<Url>,
    pub primary: Arc<Primary>,
    pub directives: RequestDirectives,
    /// It carries `Authorization` that is not in the key.
    pub authorized: bool,
    /// It carries cookies that are neither in the key nor said to make no difference.
    pub cookies: bool,
}

impl Asked {
    /// The client wants to hear it from the service.
    pub fn insists(&self) -> bool {
        self.directives.no_cache || self.directives.max_age == Some(0)
    }

    /// Its answer is most likely for one alone.
    pub fn is_personal(&self) -> bool {
        self.authorized || self.cookies
    }

    pub fn lane(&self, names: &[HeaderName]) -> Lane {
        let mut names = names.to_vec();
        names.sort_by(|one, two| one.as_str().cmp(two.as_str()));
        let values = names.into_iter().map(|name| {
            let value = Normal::of(&self.head.headers, &name);
            (name, value)
        });
        Lane {
            url: self.url.clone(),
            primary: self.primary.clone(),
            values: values.collect(),
            personal: self.is_personal(),
            alone: None,
        }
    }
}

impl Cache {
    /// What the client says of answers from the store, or why its request goes past the cache.
    pub(super) fn admit(
        &self,
        exchange: &Exchange,
        head: &RequestHead,
        body: &Body,
    ) -> Result<RequestDirectives, Forward> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(Forward::Method);
        }
        let conditional = head.headers.contains_key(IF_MATCH) || head.headers.contains_key(IF_UNMODIFIED_SINCE);
        let known = exchange.caller().is_some();
        let apart = known && !self.share_consumers && !self.by.contains(&By::Consumer);
        // Whatever is not plain text makes no key.
        let nowhere = exchange.host.is_empty() || exchange.host.to_str().is_err();
        let opens = exchange.grant.is_some() || exchange.opening.is_some();
        if nowhere || !body.is_end_stream() || opens || apart {
            return Err(Forward::Bypass);
        }
        let directives = self.directives(&head.headers);
        match conditional || directives.no_store {
            true => Err(Forward::Request),
            false => Ok(directives),
        }
    }

    fn directives(&self, headers: &HeaderMap) -> RequestDirectives {
        if self.client_control {
            RequestDirectives::of(headers)
        } else {
            RequestDirectives::default()
        }
    }

    pub(super) fn asked(&self, exchange: &Exchange, head: RequestHead, directives: RequestDirectives) -> Asked {
        let part = |by: &By| match by {
            By::Consumer => {
                let fields = exchange.consumer.iter().flat_map(|consumer| consumer.identity.fields());
                let fields = fields.map(|(name, value)| (name.as_str().into(), value.as_bytes().into()));
                // Two tokens of one consumer may be of two users, as the service sees by what they are exchanged for.
                let subject =
                    exchange.consumer.iter().filter(|_| self.exchanges).filter_map(|one| one.subject.as_ref());
                let subject = subject.map(|subject| ("".into(), subject.name().to_vec().into()));
                Part::Identity(fields.chain(subject).collect())
            }
            By::Header(name) => Part::Header(Normal::of(&head.headers, name)),
            By::Claim(path) => {
                let claims = exchange.consumer.as_ref().map(|consumer| &consumer.claims);
                let found = claims.and_then(|claims| path.iter().try_fold(claims, |value, name| value.get(&**name)));
                Part::Claim(found.map(|value| value.to_string().into()))
            }
        };
        let primary = Primary {
            route: self.route.clone(),
            fingerprint: self.fingerprint,
            version: exchange.version_name().cloned(),
            by: self.by.iter().map(part).collect(),
        };
        let personal = |name: &HeaderName| {
            head.headers.contains_key(name)
                && !self.by.iter().any(|by| matches!(by, By::Header(keyed) if keyed == name))
        };
        Asked {
            url: Arc::new(Url::of(exchange, &self.query)),
            primary: Arc::new(primary),
            directives,
            authorized: personal(&AUTHORIZATION),
            cookies: personal(&COOKIE) && !self.forward.contains(&COOKIE),
            head,
        }
    }

    /// The fields that are made of claims that are in the key. The others say who asks, and are in it with `consumer` alone.
    fn claims_in_key(&self, exchange: &Exchange) -> Vec<(HeaderName, HeaderValue)> {
        let Some(consumer) = exchange.consumer.as_ref().filter(|_| self.share_consumers) else { return Vec::new() };
        let keyed = |pointer: &str| {
            let at = |path: &[Box<str>]| {
                let names = pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"));
                names.eq(path.iter().map(|name| name.to_string()))
            };
            self.by.iter().any(|by| matches!(by, By::Claim(path) if at(path)))
        };
        let named = |name: &HeaderName| consumer.of_claims.iter().any(|(made, pointer)| made == name && keyed(pointer));
        consumer.identity.fields().iter().filter(|(name, _)| named(name)).cloned().collect()
    }

    /// What the service is asked, for an answer that may be shared. `names`: what `Vary` is known to name.
    pub(super) fn fetch(
        &self,
        exchange: &Exchange,
        asked: &Asked,
        names: &[HeaderName],
        stored: Option<&Stored>,
    ) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = asked.url.target().map_or_else(|| asked.head.uri.clone(), Uri::from);
        *request.version_mut() = asked.head.version;
        let headers = request.headers_mut();
        let given = &asked.head.headers;
        let keyed = self.by.iter().filter_map(|by| match by {
            By::Header(name) => Some(name),
            By::Consumer | By::Claim(_) => None,
        });
        let normal = NEGOTIATION.iter().chain(keyed).chain(names);
        for name in normal.filter(|name| !OWN.contains(name) && !PLAIN.contains(name)) {
            headers.extend(Normal::of(given, name).value().map(|value| (name.clone(), value)));
        }
        let request_id = exchange.route.as_ref().and_then(|route| route.policies.request_id.as_ref());
        let plain = PLAIN.iter().chain(&self.forward).chain(request_id.map(|policy| &policy.header));
        for name in plain.filter(|name| !OWN.contains(name)) {
            headers.remove(name);
            for value in given.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        for (name, value) in self.claims_in_key(exchange) {
            headers.insert(name, value);
        }
        if let Some(host) = asked.url.host_value() {
            headers.insert(HOST, host.clone());
            headers.entry(FORWARDED_HOST).or_insert(host);
        }
        if let Some(stored) = stored {
            condition::ask(headers, stored);
        }
        request
    }
}

/// What the service was not told although its answer varies by it.
pub fn withheld(asked: &HeaderMap, told: &HeaderMap, names: &[HeaderName]) -> Vec<HeaderName> {
    let missing = |name: &&HeaderName| asked.contains_key(*name) && !told.contains_key(*name) && !OWN.contains(name);
    names.iter().filter(missing).cloned().collect()
}

/// What tells an answer of that status apart. An error may be the fault of what this request alone has brought, too long
/// or malformed, and what is the fault of one must not be the answer for all: it is told apart by everything that the
/// service gets beside the key, whatever its `Vary` says; not by what the configuration says that none depends on.
pub fn told_apart(status: StatusCode, varies: Arc<[HeaderName]>) -> Arc<[HeaderName]> {
    let of_url = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS);
    if of_url || !(status.is_client_error() || status.is_server_error()) {
        return varies;
    }
    let mut names: Vec<HeaderName> = NEGOTIATION.iter().chain(&FREE).cloned().collect();
    names.extend(varies.iter().cloned());
    names.sort_by(|one, two| one.as_str().cmp(two.as_str()));
    names.dedup();
    names.into()
}
