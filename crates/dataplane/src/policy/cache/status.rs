//! What became of a request in the cache: for the log, the metrics, and the client (RFC 9211).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::entry::Stored;

pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// From the store, fresh.
    Hit,
    /// From the store, stale.
    Stale,
    /// From the store, after the service had said that it is still good.
    Revalidated,
    /// By the fetch of another request.
    Collapsed,
    Miss,
    /// Past the cache.
    Pass,
}

impl Use {
    pub const ALL: [Use; 6] = [Use::Hit, Use::Stale, Use::Revalidated, Use::Collapsed, Use::Miss, Use::Pass];

    pub fn as_str(self) -> &'static str {
        match self {
            Use::Hit => "hit",
            Use::Stale => "stale",
            Use::Revalidated => "revalidated",
            Use::Collapsed => "collapsed",
            Use::Miss => "miss",
            Use::Pass => "pass",
        }
    }
}

/// Why a request went on to the service (RFC 9211 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    Bypass,
    Method,
    Request,
    UriMiss,
    VaryMiss,
    Stale,
    /// What is stored is a part that does not hold it.
    Partial,
}

impl Forward {
    pub fn as_str(self) -> &'static str {
        match self {
            Forward::Bypass => "bypass",
            Forward::Method => "method",
            Forward::Request => "request",
            Forward::UriMiss => "uri-miss",
            Forward::VaryMiss => "vary-miss",
            Forward::Stale => "stale",
            Forward::Partial => "partial",
        }
    }
}

/// What `Cache-Status` says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub hit: bool,
    pub forward: Option<Forward>,
    /// The service's, where it is not the response's.
    pub status: Option<u16>,
    pub stored: bool,
    pub collapsed: bool,
    pub ttl: Option<i64>,
    pub detail: Option<&'static str>,
}

impl Report {
    pub fn of(mut self, stored: &Stored) -> Self {
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.ttl = stored.age().map(|age| seconds(stored.lifetime).saturating_sub(seconds(age)));
        self
    }

    /// Behind what caches nearer to the service have said.
    pub fn append(&self, headers: &mut HeaderMap) {
        let mut text = String::from("stagedoor");
        if self.hit {
            text.push_str("; hit");
        }
        if let Some(forward) = self.forward {
            text.push_str("; fwd=");
            text.push_str(forward.as_str());
        }
        if let Some(status) = self.status {
            text.push_str("; fwd-status=");
            text.push_str(itoa::Buffer::new().format(status));
        }
        if let Some(ttl) = self.ttl {
            text.push_str("; ttl=");
            text.push_str(itoa::Buffer::new().format(ttl));
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        if let Some(detail) = self.detail {
            text.push_str("; detail=");
            text.push_str(detail);
        }
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.append(CACHE_STATUS, value);
        }
    }
}
