//! What a successful write leaves behind: stored responses that may no longer be true (RFC 9111 §4.4, RFC 9875 §3).

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::groups::{self, Of};
use super::key::{normal_host, Url};
use super::purge::split;
use super::store::Store;
use crate::exchange::Exchange;

/// Methods that change nothing (RFC 9110 §9.2.1, and the registry's); of others it is not known.
pub fn is_safe(method: &Method) -> bool {
    matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY" | "PROPFIND" | "REPORT" | "SEARCH")
}

/// After an answer to an unsafe request, which is passed on when the disk has been told as well.
pub async fn after(store: &Store, exchange: &Exchange, status: StatusCode, headers: &HeaderMap, declared: &[Box<str>]) {
    if !(status.is_success() || status.is_redirection()) {
        return;
    }
    let host = String::from_utf8_lossy(exchange.host.as_bytes());
    let (scheme, path, query) = (exchange.scheme, exchange.path(), exchange.query());
    let mut disk = store.invalidate(scheme, &host, path, query, false).disk;
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some((path, query)) = same_origin(headers, &name, scheme, &host, path) {
            disk |= store.invalidate(scheme, &host, &path, query.as_deref(), false).disk;
        }
    }
    let origin = Url::origin(scheme, &host);
    let named = groups::named(headers, &groups::INVALIDATION);
    for group in &named {
        store.invalidate_group(Of::Origin(&origin), group, false);
    }
    for group in declared {
        store.invalidate_group(Of::All, group, false);
    }
    if let Some(tier) = store.tier.disk().filter(|_| disk || !named.is_empty() || !declared.is_empty()) {
        tier.settled().await;
    }
}

/// Path and query of a URL that the field holds, if it is of the same origin: another's is not for this one to invalidate.
fn same_origin(
    headers: &HeaderMap,
    name: &HeaderName,
    scheme: &str,
    host: &str,
    base: &str,
) -> Option<(String, Option<String>)> {
    let text = headers.get(name)?.to_str().ok()?;
    let absolute = if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.contains("://") && !text.starts_with('/') {
        text.to_owned()
    } else if text.starts_with('/') {
        format!("{scheme}://{host}{text}")
    } else if text.is_empty() || text.starts_with('?') {
        format!("{scheme}://{host}{base}{text}")
    } else {
        let folder = base.rfind('/').map_or("/", |slash| &base[..=slash]);
        format!("{scheme}://{host}{folder}{text}")
    };
    let (found_scheme, found_host, path, query) = split(&absolute).ok()?;
    let same = found_scheme == scheme && normal_host(scheme, found_host) == normal_host(scheme, host);
    same.then(|| (path, query.map(str::to_owned)))
}
