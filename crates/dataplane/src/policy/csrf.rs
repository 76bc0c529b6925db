//! Cross-site request forgery: a browser sends cookies, passwords and certificates also where another site's page made
//! it ask. Browsers say from where a request comes, so no token is needed: `Sec-Fetch-Site` (Fetch Metadata), for older
//! browsers `Origin` (RFC 6454) and `Referer`.

use http::header::{COOKIE, ORIGIN, REFERER};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{json, Value};

use super::{cors, RequestHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::snapshot;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub struct Csrf {
    /// Other sites whose pages may ask, as browsers send them.
    origins: Vec<HeaderValue>,
    /// Whether a request with cookies passes that does not say from where it comes.
    unknown: bool,
}

/// What a request shows of the page that made it.
enum Source {
    /// Our own pages, or the user.
    Own,
    Other,
    /// It says nothing: no browser of the last years.
    Unknown,
}

impl Csrf {
    pub fn new(settings: &snapshot::Csrf) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut origins = Vec::new();
        for origin in &settings.origins {
            match HeaderValue::from_str(origin) {
                Ok(value) if cors::is_origin(origin) => origins.push(value),
                _ => errors
                    .push(format!("'{origin}' is not an origin as browsers send it, such as 'https://example.com'")),
            }
        }
        match errors.is_empty() {
            true => Ok(Self { origins, unknown: settings.unknown }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let origins: Vec<&str> = self.origins.iter().filter_map(|origin| origin.to_str().ok()).collect();
        json!({"origins": origins, "unknown": self.unknown})
    }

    /// Methods that change nothing pass (RFC 9110 §9.2.1), but for the handshake of a WebSocket, which gives a page
    /// both directions.
    pub fn on_request(&self, exchange: &Exchange, head: &RequestHead) -> Result<(), Error> {
        let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if safe && exchange.wish.is_none() {
            return Ok(());
        }
        let (passes, cause) = match source(exchange, &head.headers) {
            Source::Own => return Ok(()),
            Source::Other => (self.is_listed(&head.headers), "csrf: the request comes from another site"),
            Source::Unknown => {
                let passes = self.unknown || !head.headers.contains_key(COOKIE);
                (passes, "csrf: the request has cookies and does not say from where it comes")
            }
        };
        match passes {
            true => Ok(()),
            false => Err(Error::new(Kind::Forbidden, "The request is not allowed from where it comes").cause(cause)),
        }
    }

    fn is_listed(&self, headers: &HeaderMap) -> bool {
        only(headers, &ORIGIN).is_some_and(|origin| self.origins.contains(origin))
    }
}

/// Whether a page of ours, or the user without any page, makes the request: both say so.
pub(super) fn is_own(exchange: &Exchange, headers: &HeaderMap) -> bool {
    matches!(source(exchange, headers), Source::Own)
}

fn source(exchange: &Exchange, headers: &HeaderMap) -> Source {
    if headers.contains_key(SEC_FETCH_SITE) {
        return match only(headers, &SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
            Some(b"same-origin" | b"none") => Source::Own,
            _ => Source::Other,
        };
    }
    let page = match (headers.contains_key(ORIGIN), headers.contains_key(REFERER)) {
        (true, _) => only(headers, &ORIGIN),
        (false, true) => only(headers, &REFERER),
        (false, false) => return Source::Unknown,
    };
    let host = page.and_then(|page| page.to_str().ok()).and_then(authority);
    let own = exchange.host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    match (host, own) {
        (Some((host, default)), Some(own)) if is_same(&host, &own, default) => Source::Own,
        _ => Source::Other,
    }
}

/// The header's value; None where there are several, which no browser sends.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Host and port of an http URL with its scheme's port. None for what is no such URL, `null` among it.
fn authority(url: &str) -> Option<(Authority, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority: Authority = rest[..end].parse().ok()?;
    (!authority.as_str().contains('@')).then_some((authority, default))
}

/// By host and port. The schemes are not compared: behind a balancer that ends TLS ours may be unknown.
fn is_same(page: &Authority, own: &Authority, default: u16) -> bool {
    let port = page.port_u16().unwrap_or(default);
    let own_port = own.port_u16().unwrap_or(default);
    page.host().eq_ignore_ascii_case(own.host()) && port == own_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_ours_by_host_and_port() {
        let own = |page: &str, host: &str| {
            let (page, default) = authority(page).expect("an URL");
            is_same(&page, &host.parse().expect("an authority"), default)
        };
        assert!(own("https://Shop.example", "shop.example"));
        assert!(own("https://shop.example:443/a?b", "shop.example"));
        assert!(own("http://[::1]:8080", "[::1]:8080"));
        assert!(!own("https://shop.example:8443", "shop.example"));
        assert!(!own("https://shop.example.evil.example", "shop.example"));
        for wrong in ["null", "https://shop.example@evil.example", "file:///a", "//shop.example", "https://"] {
            assert!(authority(wrong).is_none(), "{wrong}");
        }
    }
}
