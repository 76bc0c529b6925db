//! Who calls: the consumer whose credential the request carries. Fails closed with 401.

pub mod api_key;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{header, HeaderValue};
use rustc_hash::FxHashMap;
use serde_json::{json, Value};
use subtle::ConstantTimeEq;

use super::{Context, RequestHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::identity::Identity;
use crate::program::Report;
use crate::snapshot;

pub struct Consumer {
    pub name: Arc<str>,
    pub groups: Vec<Box<str>>,
    /// The same as endpoints are told.
    pub identity: Identity,
}

/// SHA-256 of a credential; the credential itself is never kept.
pub type Digest = [u8; 32];

/// The consumers by their credentials, which are many to one.
pub struct Credentials {
    /// By the digest's first bytes. An attacker cannot choose a digest, so the time of this look-up tells nothing
    /// useful; the whole digests are compared in constant time.
    by_prefix: FxHashMap<[u8; 8], Vec<(Digest, Arc<Consumer>)>>,
}

impl Credentials {
    /// One credential of two consumers is an error, since it would be a matter of chance who calls.
    pub fn new(consumers: &BTreeMap<String, snapshot::Consumer>, report: &mut Report) -> Self {
        let mut credentials = Self { by_prefix: FxHashMap::default() };
        for (name, settings) in consumers {
            let groups: Vec<Box<str>> = settings.groups.iter().map(|group| group.as_str().into()).collect();
            let identity = Identity::new(name, &groups);
            let consumer = Arc::new(Consumer { name: name.as_str().into(), groups, identity });
            for (index, text) in settings.api_key_sha256.iter().enumerate() {
                let Some(digest) = parse_digest(text) else {
                    report.error(format!(
                        "consumer '{name}': api_key_sha256[{index}] is not a SHA-256 as 64 lower-case hex digits"
                    ));
                    continue;
                };
                match credentials.find(&digest) {
                    Some(other) if other.name == consumer.name => {
                        report.error(format!("consumer '{name}': api_key_sha256[{index}] repeats one of its keys"));
                    }
                    Some(other) => {
                        report.error(format!("consumers '{}' and '{name}' have the same API key", other.name));
                    }
                    None => credentials.by_prefix.entry(prefix(&digest)).or_default().push((digest, consumer.clone())),
                }
            }
        }
        credentials
    }

    pub fn find(&self, digest: &Digest) -> Option<&Arc<Consumer>> {
        let candidates = self.by_prefix.get(&prefix(digest))?;
        candidates.iter().find(|(known, _)| bool::from(known.ct_eq(digest))).map(|(_, consumer)| consumer)
    }
}

fn prefix(digest: &Digest) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&digest[..8]);
    prefix
}

fn parse_digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(digest)
}

/// What an authenticator found in a request.
pub enum Presented {
    Nothing,
    One(Digest),
    /// More than one credential: it is not ours to choose.
    Several,
}

pub struct Authenticate {
    pub any: Vec<api_key::ApiKey>,
    credentials: Arc<Credentials>,
    /// Of every 401 (RFC 9110 §11.6.1).
    challenges: Vec<HeaderValue>,
}

impl Authenticate {
    pub fn new(settings: &snapshot::Authenticate, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut any = Vec::new();
        for snapshot::Authenticator::ApiKey { header, query } in &settings.any {
            match api_key::ApiKey::new(header.as_deref(), query.as_deref()) {
                Ok(authenticator) => any.push(authenticator),
                Err(mut wrong) => errors.append(&mut wrong),
            }
        }
        if settings.any.is_empty() {
            errors.push("it lists no way to authenticate, so nobody could".to_owned());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let challenges = any.iter().map(api_key::ApiKey::challenge).collect();
        Ok(Self { any, credentials: context.credentials.clone(), challenges })
    }

    pub fn describe(&self) -> Value {
        let any: Vec<Value> = self.any.iter().map(api_key::ApiKey::describe).collect();
        json!({"any": any})
    }

    /// The first authenticator that finds its credential decides; a wrong credential never falls through. Every
    /// credential is removed from what is forwarded.
    pub fn on_request(&self, exchange: &mut Exchange, head: &mut RequestHead) -> Result<(), Error> {
        let mut presented = self.any.iter().map(|authenticator| authenticator.present(exchange, head));
        let consumer = match presented.find(|presented| !matches!(presented, Presented::Nothing)) {
            None | Some(Presented::Nothing) => return Err(self.refused("The request carries no credential")),
            Some(Presented::Several) => return Err(self.refused("The request carries more than one credential")),
            Some(Presented::One(digest)) => self.credentials.find(&digest),
        };
        let Some(consumer) = consumer else {
            return Err(self.refused("The credential is not valid"));
        };
        exchange.consumer = Some(consumer.clone());
        for authenticator in &self.any {
            authenticator.remove(exchange, head)?;
        }
        Ok(())
    }

    fn refused(&self, detail: &str) -> Error {
        let mut error = Error::new(Kind::Unauthorized, detail);
        for challenge in &self.challenges {
            error = error.header(header::WWW_AUTHENTICATE, challenge.clone());
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumers(keys: &[(&str, &[&str])]) -> BTreeMap<String, snapshot::Consumer> {
        let settings = |keys: &[&str]| snapshot::Consumer {
            api_key_sha256: keys.iter().map(|key| (*key).to_owned()).collect(),
            groups: Vec::new(),
        };
        keys.iter().map(|(name, keys)| ((*name).to_owned(), settings(keys))).collect()
    }

    #[test]
    fn a_consumer_is_found_by_each_of_its_keys() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let mut report = Report::default();
        let credentials = Credentials::new(&consumers(&[("web", &[&one, &two])]), &mut report);
        assert!(report.errors.is_empty());
        for digest in [[0x11; 32], [0x22; 32]] {
            assert_eq!(&*credentials.find(&digest).expect("known").name, "web");
        }
        let mut near = [0x11; 32];
        near[31] = 0;
        assert!(credentials.find(&near).is_none());
    }

    #[test]
    fn a_wrong_or_shared_key_is_an_error_that_does_not_show_it() {
        let (one, short) = ("1".repeat(64), "2".repeat(63));
        let mut report = Report::default();
        Credentials::new(&consumers(&[("app", &[&one]), ("mail", &[&short]), ("web", &[&one])]), &mut report);
        assert_eq!(
            report.errors,
            [
                "consumer 'mail': api_key_sha256[0] is not a SHA-256 as 64 lower-case hex digits",
                "consumers 'app' and 'web' have the same API key",
            ]
        );
    }
}
