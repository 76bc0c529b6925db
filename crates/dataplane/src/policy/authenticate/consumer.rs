//! Who calls, and the consumers of the configuration by their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;
use subtle::ConstantTimeEq;

use crate::identity::Identity;
use crate::program::Report;
use crate::snapshot;

/// A caller as one credential has proved it. Shared by all requests with that credential.
pub struct Consumer {
    pub name: Arc<str>,
    pub groups: Vec<Box<str>>,
    pub scopes: Vec<Box<str>>,
    pub plan: Option<Arc<str>>,
    /// What a token or a session says of its subject; null for other credentials.
    pub claims: Value,
    /// How it was proved: the scheme's name in the configuration.
    pub scheme: &'static str,
    /// The same as endpoints are told.
    pub identity: Identity,
}

impl Consumer {
    /// One of whom no more than this is known.
    pub fn new(name: &str, groups: &[String], scheme: &'static str) -> Self {
        let groups: Vec<Box<str>> = groups.iter().map(|group| group.as_str().into()).collect();
        let identity = Identity::new(name, &groups);
        let (scopes, plan, claims) = (Vec::new(), None, Value::Null);
        Self { name: name.into(), groups, scopes, plan, claims, scheme, identity }
    }
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
            let consumer = Arc::new(Consumer::new(name, &settings.groups, "api_key"));
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
