//! A stored response: its head with what is known of its freshness, and its content.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{CONTENT_LENGTH, DATE, ETAG, LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::content::Content;
use super::directives::{ResponseDirectives, Scope};
use super::freshness::{self, Fallback, Moment, Source};
use super::vary::Normal;

/// Not to be stored (RFC 9111 §3.1); the fields of the connection are gone by then. The last is this gateway's own.
const UNSTORED: [HeaderName; 6] = [
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("te"),
    HeaderName::from_static("stagedoor-cache-control"),
];

/// Fields that prove who asks: not written to a disk, not even as part of a key.
pub const CONFIDENTIAL: [HeaderName; 3] = [http::header::AUTHORIZATION, http::header::COOKIE, PROXY_AUTHORIZATION];

/// What a head takes beside the bytes of its fields, and each field.
const HEAD_BYTES: usize = 400;
const FIELD_BYTES: usize = 80;

/// The head of a stored response.
pub struct Stored {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// What `Vary` names, and the values of the request that it was the answer to.
    pub names: Arc<[HeaderName]>,
    pub values: Box<[Normal]>,
    pub lifetime: Duration,
    /// None: `Age` was no number, so it is stale for ever.
    pub initial_age: Option<Duration>,
    pub since: Instant,
    pub received_s: u64,
    /// It must not be used stale, whatever happens.
    pub strict: bool,
    /// It must not be used without asking (`no-cache`).
    pub always_asks: bool,
    /// Not to be asked for again while it is fresh (RFC 8246).
    pub immutable: bool,
    pub while_revalidate: Duration,
    pub if_error: Duration,
    pub groups: Box<[Box<str>]>,
    /// What was invalidated later than this is not in force for it: the fetch had begun.
    pub epoch: u64,
}

/// What a route says of the responses it stores.
pub struct Terms<'a> {
    pub fallback: Fallback,
    pub while_revalidate_s: u64,
    pub if_error_s: u64,
    pub groups: &'a [Box<str>],
}

impl Stored {
    /// Of an answer that may be stored.
    pub fn new(
        status: StatusCode,
        headers: &HeaderMap,
        (names, values): (Arc<[HeaderName]>, Box<[Normal]>),
        terms: &Terms<'_>,
        moment: Moment,
        epoch: u64,
    ) -> Self {
        let directives = ResponseDirectives::of(headers);
        let (lifetime, _) = freshness::lifetime(status, headers, &directives, terms.fallback, moment);
        let mut groups: Vec<Box<str>> = super::groups::named(headers, &super::groups::CACHE_GROUPS);
        groups.extend(terms.groups.iter().cloned());
        let seconds = Duration::from_secs;
        let mut kept = HeaderMap::with_capacity(headers.len() + 1);
        let dropped = [directives.no_cache.fields(), directives.private.fields()].concat();
        for (name, value) in headers {
            if !UNSTORED.contains(name) && !dropped.contains(name) {
                kept.append(name.clone(), own(value));
            }
        }
        if !kept.contains_key(DATE) {
            let now = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + seconds(moment.received_s));
            kept.extend(HeaderValue::try_from(now).ok().map(|now| (DATE, now)));
        }
        Self {
            status,
            names,
            values,
            lifetime: seconds(lifetime),
            initial_age: freshness::initial_age(headers, moment),
            since: Instant::now(),
            received_s: moment.received_s,
            strict: directives.forbids_stale(),
            always_asks: directives.no_cache == Scope::Everything,
            immutable: directives.immutable,
            while_revalidate: directives.stale(directives.stale_while_revalidate, terms.while_revalidate_s),
            if_error: directives.stale(directives.stale_if_error, terms.if_error_s),
            groups: groups.into(),
            headers: kept,
            epoch,
        }
    }

    /// RFC 9111 §4.2.3, as of now.
    pub fn age(&self) -> Option<Duration> {
        Some(self.initial_age?.saturating_add(self.since.elapsed()))
    }

    /// How long it is still fresh, or for how long it has been stale.
    pub fn remaining(&self) -> Result<Duration, Duration> {
        self.age().map_or(Err(Duration::MAX), |age| self.remaining_at(age))
    }

    pub fn remaining_at(&self, age: Duration) -> Result<Duration, Duration> {
        match self.lifetime.checked_sub(age) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(age.saturating_sub(self.lifetime)),
        }
    }

    /// It can be asked for again with a condition.
    pub fn has_validator(&self) -> bool {
        self.headers.contains_key(ETAG) || self.headers.contains_key(LAST_MODIFIED)
    }

    /// With the fields of a 304 or of an answer to HEAD in place of its own (§3.2): what says how the content is coded, cut
    /// or framed stays as it is.
    pub fn freshened(&self, update: &HeaderMap, terms: &Terms<'_>, moment: Moment, epoch: u64) -> Self {
        let mut headers = self.headers.clone();
        // The age of what was stored has nothing to do with the new one.
        headers.remove(http::header::AGE);
        for name in update.keys().filter(|name| !is_of_content(name)) {
            headers.remove(name);
            for value in update.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        let mut fresh =
            Self::new(self.status, &headers, (self.names.clone(), self.values.clone()), terms, moment, epoch);
        // A 304 need not name the groups again.
        if !update.contains_key(super::groups::CACHE_GROUPS) {
            fresh.groups = self.groups.clone();
        }
        fresh
    }

    pub fn bytes(&self) -> usize {
        let fields: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let values: usize = self.values.iter().map(Normal::bytes).sum();
        let groups: usize = self.groups.iter().map(|group| group.len() + 16).sum();
        HEAD_BYTES + FIELD_BYTES * self.headers.len() + fields + values + groups
    }
}

/// Whether a 304 may not change it (RFC 9111 §3.2).
fn is_of_content(name: &HeaderName) -> bool {
    const OF_CONTENT: [HeaderName; 6] = [
        CONTENT_LENGTH,
        http::header::CONTENT_ENCODING,
        http::header::CONTENT_RANGE,
        ETAG,
        HeaderName::from_static("content-md5"),
        HeaderName::from_static("content-digest"),
    ];
    OF_CONTENT.contains(name)
}

/// Its own bytes: those of a message share the buffer that the message was read into.
fn own(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// What of the request and of the route stands in the way.
pub struct Rights {
    /// The request carried `Authorization`: the answer must say that it is for all (§3.5).
    pub authorized: bool,
    /// It carried cookies that are not in the key.
    pub cookies: bool,
    /// Answers with `Set-Cookie` are stored.
    pub set_cookies: bool,
}

/// Whether an answer may be stored (§3).
pub fn may_store(status: StatusCode, headers: &HeaderMap, rights: &Rights, terms: &Terms<'_>, moment: Moment) -> bool {
    let directives = ResponseDirectives::of(headers);
    let understood = directives.must_understand && freshness::is_understood(status);
    if status.is_informational()
        || matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED)
        || (directives.must_understand && !understood)
        || (directives.no_store && !understood)
        || directives.private == Scope::Everything
        || crate::protocol::media::is_stream(headers)
    {
        return false;
    }
    let shared = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    let public = directives.public || directives.s_maxage.is_some();
    let cookies = rights.cookies || (headers.contains_key(SET_COOKIE) && !(rights.set_cookies || public));
    if (rights.authorized && !shared) || cookies {
        return false;
    }
    let (lifetime, source) = freshness::lifetime(status, headers, &directives, terms.fallback, moment);
    let stale = directives.stale_while_revalidate.or(directives.stale_if_error).is_some();
    let validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    match source {
        Source::Explicit | Source::Rule | Source::Heuristic => lifetime > 0 || validator || stale,
        Source::Nothing => {
            (directives.public || directives.no_cache == Scope::Everything || freshness::is_heuristic(status))
                && validator
        }
    }
}

/// A stored response as a whole.
pub struct Entry {
    pub head: Arc<Stored>,
    pub content: Content,
    /// Purged softly: stale from now on.
    soft: AtomicBool,
}

impl Entry {
    pub fn new(head: Arc<Stored>, content: Content) -> Arc<Self> {
        Arc::new(Self { head, content, soft: AtomicBool::new(false) })
    }

    pub fn soften(&self) {
        self.soft.store(true, Ordering::Relaxed);
    }

    pub fn is_soft(&self) -> bool {
        self.soft.load(Ordering::Relaxed)
    }

    /// Fresh, and not purged.
    pub fn is_good(&self) -> bool {
        !self.is_soft() && self.head.remaining().is_ok()
    }

    /// What it takes of the memory.
    pub fn bytes(&self) -> usize {
        self.head.bytes() + self.content.memory_bytes()
    }
}
