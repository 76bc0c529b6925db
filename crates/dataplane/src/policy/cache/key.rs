//! What a stored response is found by. Structured values that are compared part by part: nothing is joined to one text, so
//! no crafted part can run into another.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use http::uri::PathAndQuery;
use http::HeaderValue;

use super::vary::Normal;
use crate::exchange::Exchange;
use crate::snapshot::CacheQuery;

/// Keyed at random, so that nobody outside can choose URLs that fall into one place.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The URL as the gateway was asked for it, in normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    pub scheme: Box<str>,
    /// Lower-case, without the scheme's own port.
    pub host: Box<str>,
    pub path: Box<str>,
    /// That part of the query which tells responses apart.
    pub query: Option<Box<str>>,
    /// Of all the others, which are hashed once.
    hash: u64,
}

impl Url {
    pub fn new(scheme: &str, host: &str, path: &str, query: Option<&str>, rule: &CacheQuery) -> Self {
        let query = normal_query(query, rule).map(|query| query.into_owned().into());
        Self::normal(scheme.into(), normal_host(scheme, host).into(), path.into(), query)
    }

    /// Of parts that are in normal form.
    pub fn normal(scheme: Box<str>, host: Box<str>, path: Box<str>, query: Option<Box<str>>) -> Self {
        let hash = HASHER.hash_one((&scheme, &host, &path, &query));
        Self { scheme, host, path, query, hash }
    }

    pub fn of(exchange: &Exchange, rule: &CacheQuery) -> Self {
        let host = String::from_utf8_lossy(exchange.host.as_bytes());
        Self::new(exchange.scheme, &host, exchange.path(), exchange.query(), rule)
    }

    /// Scheme and host alone, for what is about all of them.
    pub fn origin(scheme: &str, host: &str) -> Self {
        Self::new(scheme, host, "/", None, &CacheQuery::All)
    }

    /// For people, and for what is purged by its beginning.
    pub fn text(&self) -> String {
        let mut text = format!("{}://{}{}", self.scheme, self.host, self.path);
        if let Some(query) = &self.query {
            text.push('?');
            text.push_str(query);
        }
        text
    }

    /// What the service is asked for: no more than what is in the key.
    pub fn target(&self) -> Option<PathAndQuery> {
        let text = match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        };
        PathAndQuery::try_from(text).ok()
    }

    pub fn host_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.host).ok()
    }

    /// In which of so many parts of the store it is.
    pub fn part(&self, parts: usize) -> usize {
        // Its lower half finds the place within.
        (self.hash >> 32) as usize % parts
    }

    pub fn bytes(&self) -> usize {
        self.scheme.len() + self.host.len() + self.path.len() + self.query.as_ref().map_or(0, |query| query.len())
    }
}

impl Hash for Url {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

pub fn normal_host(scheme: &str, host: &str) -> String {
    let port = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase()
}

/// None where nothing is left.
fn normal_query<'q>(query: Option<&'q str>, rule: &CacheQuery) -> Option<Cow<'q, str>> {
    let query = query?;
    let mut pairs: Vec<&str> = match rule {
        CacheQuery::All => return Some(Cow::Borrowed(query)),
        CacheQuery::Sorted => query.split('&').collect(),
        CacheQuery::Names(names) => {
            let named = |pair: &&str| {
                let name = pair.split('=').next().unwrap_or_default();
                names.iter().any(|wanted| wanted == name)
            };
            query.split('&').filter(named).collect()
        }
    };
    if pairs.is_empty() {
        return None;
    }
    // Stable: of several values of one name the order may mean something.
    pairs.sort_by_key(|pair| pair.split('=').next());
    Some(Cow::Owned(pairs.join("&")))
}

/// What of the route and of the caller tells responses of one URL apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Primary {
    pub route: Arc<str>,
    /// Of the route's target and of what changes its requests: another target has other responses.
    pub fingerprint: u64,
    /// Of its API, where the route belongs to one: each version has answers of its own.
    pub version: Option<Arc<str>>,
    /// The parts of `vary_by`, in its order.
    pub by: Box<[Part]>,
}

/// Name and value.
type Field = (Box<str>, Box<[u8]>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Every field that tells the service who calls; without a name, the hash of a token that is exchanged for another.
    Identity(Box<[Field]>),
    Header(Normal),
    /// A claim as JSON; None where there is none.
    Claim(Option<Box<str>>),
}

impl Primary {
    pub fn bytes(&self) -> usize {
        let part = |part: &Part| match part {
            Part::Identity(fields) => fields.iter().map(|(name, value)| name.len() + value.len()).sum(),
            Part::Header(value) => value.bytes(),
            Part::Claim(claim) => claim.as_ref().map_or(0, |claim| claim.len()),
        };
        self.by.iter().map(part).sum::<usize>() + self.by.len() * 16
    }
}
