//! What an authorizer has decided: that a request passes, changed or not, or what its client is told instead. Only what
//! is allowed to it is ever in here: it cannot say who calls, from where, or where a message ends.

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

use crate::cluster::hop_by_hop;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::identity;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::route::condition::decodes_to;

/// What of a query needs no escape (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug)]
pub enum Verdict {
    Passes(Changes),
    Refused(Refusal),
}

#[derive(Debug, Default)]
pub struct Changes {
    pub remove: Vec<HeaderName>,
    pub set: Vec<Change>,
    pub query_remove: Vec<String>,
    pub query_set: Vec<(String, String)>,
    /// Of the response.
    pub response: Vec<Change>,
}

#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub headers: Vec<Change>,
    pub body: Bytes,
}

#[derive(Debug)]
pub struct Change {
    pub name: HeaderName,
    pub value: HeaderValue,
    pub how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Append,
    IfAbsent,
    Set,
    IfPresent,
}

impl Change {
    fn apply(&self, headers: &mut HeaderMap) {
        let there = headers.contains_key(&self.name);
        match self.how {
            How::Append => drop(headers.append(&self.name, self.value.clone())),
            How::IfAbsent if there => {}
            How::IfPresent if !there => {}
            // Each is a cookie of its own.
            How::Set if self.name == header::SET_COOKIE => drop(headers.append(&self.name, self.value.clone())),
            How::IfAbsent | How::Set | How::IfPresent => drop(headers.insert(&self.name, self.value.clone())),
        }
    }
}

impl Changes {
    /// Of the request, on its way to the target.
    pub fn apply(&self, exchange: &mut Exchange, head: &mut RequestHead) -> Result<(), Error> {
        identity::clear(&self.remove, &mut head.headers);
        for change in &self.set {
            if change.how == How::Set {
                identity::clear(std::slice::from_ref(&change.name), &mut head.headers);
            }
            change.apply(&mut head.headers);
        }
        if !self.query_remove.is_empty() || !self.query_set.is_empty() {
            exchange.target = self.target(exchange)?;
        }
        Ok(())
    }

    pub fn apply_to_response(&self, headers: &mut HeaderMap) {
        self.response.iter().for_each(|change| change.apply(headers));
    }

    fn target(&self, exchange: &Exchange) -> Result<PathAndQuery, Error> {
        let goes = |pair: &str| {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            let mut named = self.query_remove.iter().chain(self.query_set.iter().map(|(name, _)| name));
            named.any(|named| decodes_to(name, named))
        };
        let kept = exchange.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !goes(pair));
        let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        pairs.extend(self.query_set.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))));
        let target = match pairs.is_empty() {
            true => exchange.path().to_owned(),
            false => format!("{}?{}", exchange.path(), pairs.join("&")),
        };
        PathAndQuery::try_from(target)
            .map_err(|error| Error::new(Kind::BadRequest, "The path is not valid").cause(error))
    }
}

impl Refusal {
    pub fn respond(&self) -> Response<Body> {
        let empty = self.body.is_empty() || matches!(self.status.as_u16(), 204 | 205 | 304);
        let mut response = Response::new(if empty { Body::empty() } else { Body::full(self.body.clone()) });
        *response.status_mut() = self.status;
        self.headers.iter().for_each(|change| change.apply(response.headers_mut()));
        response
    }
}

/// What no authorizer sets in or takes from a request: who calls, where it comes from and goes to, and its framing, under
/// every spelling that some server reads as the same name.
pub fn may_change_request(name: &HeaderName) -> bool {
    let name = name.as_str().replace('_', "-");
    let framing = [
        "content-encoding",
        "content-length",
        "content-range",
        "expect",
        "forwarded",
        "host",
        "max-forwards",
        "trailer",
        "via",
        "x-real-ip",
    ];
    !framing.contains(&name.as_str())
        && !name.starts_with("x-forwarded-")
        && !hop_by_hop::is_for_one_hop(&name)
        && !identity::is_reserved(&name)
}

/// The framing of a response is the gateway's own, and so is what it sends.
pub fn may_change_response(name: &HeaderName) -> bool {
    let name = name.as_str();
    let framing = ["content-encoding", "content-length", "content-range", "date", "trailer"];
    !framing.contains(&name) && !hop_by_hop::is_for_one_hop(name)
}
