//! A key in a header or in the query: one of the configuration, of which only the SHA-256 is known here, or of the
//! registry, of which only the HMAC is. Fast hashes are enough for what nobody can guess.

use std::borrow::Cow;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use serde_json::{json, Value};
use sha2::{Digest as _, Sha256};

use super::consumer::Credentials;
use super::{Refusal, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{headers, RequestHead};
use crate::route::condition::{decodes_to, form_decoded, pairs};
use crate::shared::Shared;

pub struct ApiKey {
    pub header: Option<HeaderName>,
    pub query: Option<Box<str>>,
    credentials: Arc<Credentials>,
}

/// What a request carries.
enum Presented<'a> {
    Nothing,
    One(Cow<'a, [u8]>),
    /// More than one key: it is not ours to choose.
    Several,
}

impl ApiKey {
    pub fn new(header: Option<&str>, query: Option<&str>, credentials: Arc<Credentials>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let header = header.and_then(|text| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if headers::is_reserved(&name) => {
                errors.push(format!("api_key: the header '{name}' belongs to the protocol and cannot carry a key"));
                None
            }
            Ok(name) => Some(name),
            Err(_) => {
                errors.push(format!("api_key: '{text}' is not a header name"));
                None
            }
        });
        let query: Option<Box<str>> = query.map(Into::into);
        if query.as_deref() == Some("") {
            errors.push("api_key: the query parameter has no name".to_owned());
        }
        if errors.is_empty() && header.is_none() && query.is_none() {
            errors.push("api_key: neither a header nor a query parameter is named".to_owned());
        }
        match errors.is_empty() {
            true => Ok(Self { header, query, credentials }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        json!({"api_key": {"header": self.header.as_ref().map(HeaderName::as_str), "query": self.query}})
    }

    /// No scheme is registered for API keys; this one tells where the key is expected.
    pub fn challenge(&self) -> HeaderValue {
        let mut text = String::from("ApiKey realm=\"stagedoor\"");
        if let Some(header) = &self.header {
            text.push_str(&format!(", header=\"{header}\""));
        }
        if let Some(query) = self
            .query
            .as_deref()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
        {
            text.push_str(&format!(", query=\"{query}\""));
        }
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("ApiKey"))
    }

    pub fn recognise(&self, exchange: &Exchange, head: &RequestHead, shared: &Shared) -> Verdict {
        let key = match self.presented(exchange, head) {
            Presented::Nothing => return Verdict::Absent,
            Presented::Several => {
                return Verdict::Refused(Refusal::new("The request carries more than one credential"))
            }
            Presented::One(key) => key,
        };
        let consumer = match self.credentials.find(&Sha256::digest(&key).into()) {
            Some(consumer) => Some(consumer.clone()),
            None => shared.registry.load().keys.find(&key).cloned(),
        };
        let Some(consumer) = consumer else {
            return Verdict::Refused(Refusal::new("The credential is not valid"));
        };
        Verdict::of(&consumer, exchange)
    }

    fn presented<'a>(&self, exchange: &Exchange, head: &'a RequestHead) -> Presented<'a> {
        let mut presented = Presented::Nothing;
        let mut see = |key: Cow<'a, [u8]>| {
            presented = match presented {
                Presented::Nothing => Presented::One(key),
                _ => Presented::Several,
            };
        };
        if let Some(name) = &self.header {
            head.headers.get_all(name).iter().for_each(|value| see(Cow::Borrowed(value.as_bytes())));
        }
        if let Some(name) = &self.query {
            let values = pairs(exchange.query().unwrap_or_default()).filter(|(key, _)| decodes_to(key, name));
            values.for_each(|(_, value)| see(Cow::Owned(form_decoded(value).collect())));
        }
        presented
    }

    /// Takes the key out of what is forwarded.
    pub fn remove(&self, exchange: &mut Exchange, head: &mut RequestHead) -> Result<(), Error> {
        if let Some(name) = &self.header {
            head.headers.remove(name);
        }
        let (Some(name), Some(query)) = (&self.query, exchange.query()) else {
            return Ok(());
        };
        let carries = |pair: &&str| decodes_to(pair.split('=').next().unwrap_or_default(), name);
        if !query.split('&').any(|pair| carries(&pair)) {
            return Ok(());
        }
        let kept: Vec<&str> = query.split('&').filter(|pair| !carries(pair)).collect();
        let target = match kept.is_empty() {
            true => exchange.path().to_owned(),
            false => format!("{}?{}", exchange.path(), kept.join("&")),
        };
        exchange.target = PathAndQuery::try_from(target)
            .map_err(|error| Error::new(Kind::Internal, "The key could not be removed").cause(error))?;
        Ok(())
    }
}
