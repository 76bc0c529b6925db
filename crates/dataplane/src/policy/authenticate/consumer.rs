//! Who calls, and the consumers of the configuration by their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use rustc_hash::FxHashMap;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::credential::{Credential, LastUsed, Restrictions};
use crate::identity::Identity;
use crate::policy::plan::Plans;
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot;
use crate::subject::Subject;

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
    /// That proved it, where it is one of ours.
    pub credential: Option<Arc<Credential>>,
    /// The same as endpoints are told.
    pub identity: Identity,
    /// Of these, the fields that are made of claims, each with the JSON Pointer to its own.
    pub of_claims: Vec<(HeaderName, Box<str>)>,
    /// The token that proved it, where some cluster is given another one for it.
    pub subject: Option<Arc<Subject>>,
}

impl snapshot::Consumer {
    /// As its credentials of that scheme prove it.
    pub fn facts<'a>(&'a self, scopes: &'a [String], scheme: &'static str) -> Facts<'a> {
        Facts { groups: &self.groups, scopes, plan: self.plan.as_deref(), scheme }
    }
}

/// What the configuration or the registry says of a consumer.
pub struct Facts<'a> {
    pub groups: &'a [String],
    pub scopes: &'a [String],
    pub plan: Option<&'a str>,
    pub scheme: &'static str,
}

impl Consumer {
    /// One of whom no more than this is known.
    pub fn new(name: &str, groups: &[String], scheme: &'static str) -> Self {
        Self::proved(name, &Facts { groups, scopes: &[], plan: None, scheme }, None)
    }

    pub fn proved(name: &str, facts: &Facts<'_>, credential: Option<Arc<Credential>>) -> Self {
        let boxed = |texts: &[String]| -> Vec<Box<str>> { texts.iter().map(|text| text.as_str().into()).collect() };
        let (groups, scopes) = (boxed(facts.groups), boxed(facts.scopes));
        let id = Some(name).filter(|_| facts.scheme != ANONYMOUS);
        let credential_id = credential.as_ref().map(|credential| &*credential.id);
        let identity = Identity::new(id, &groups, &scopes, facts.plan, credential_id);
        let plan = facts.plan.map(Arc::from);
        Self {
            name: name.into(),
            groups,
            scopes,
            plan,
            claims: Value::Null,
            scheme: facts.scheme,
            credential,
            identity,
            of_claims: Vec::new(),
            subject: None,
        }
    }

    /// Whether nobody has proved to be it.
    pub fn is_anonymous(&self) -> bool {
        self.scheme == ANONYMOUS
    }
}

/// The scheme of those who present nothing.
pub const ANONYMOUS: &str = "anonymous";

/// SHA-256 of a credential; the credential itself is never kept.
pub type Digest = [u8; 32];

/// The consumers by their credentials, which are many to one.
pub struct Credentials {
    /// By the digest's first bytes. An attacker cannot choose a digest, so the time of this look-up tells nothing
    /// useful; the whole digests are compared in constant time.
    by_start: FxHashMap<[u8; 8], Vec<(Digest, Arc<Consumer>)>>,
}

impl Credentials {
    /// One credential of two consumers is an error, since it would be a matter of chance who calls.
    pub fn new(
        consumers: &BTreeMap<String, snapshot::Consumer>,
        plans: &Plans,
        shared: &Shared,
        report: &mut Report,
    ) -> Self {
        let mut credentials = Self { by_start: FxHashMap::default() };
        for (name, settings) in consumers {
            if name == ANONYMOUS {
                report.error(format!("consumer '{name}': that is the name of those who present nothing"));
            }
            if let Some(plan) = settings.plan.as_deref().filter(|plan| plans.get(plan).is_none()) {
                report.error(format!("consumer '{name}': plan: there is no plan '{plan}'"));
            }
            for (index, key) in settings.api_key_sha256.iter().enumerate() {
                if let Err(wrong) = credentials.add(name, settings, index, key, &shared.last_used) {
                    wrong.into_iter().for_each(|wrong| report.error(wrong));
                }
            }
        }
        credentials
    }

    fn add(
        &mut self,
        name: &str,
        settings: &snapshot::Consumer,
        index: usize,
        key: &snapshot::ApiKey,
        last_used: &LastUsed,
    ) -> Result<(), Vec<String>> {
        let (text, restricted) = match key {
            snapshot::ApiKey::Anywhere(text) => (text, None),
            snapshot::ApiKey::Restricted(key) => (&key.sha256, Some(key)),
        };
        let at = format!("consumer '{name}': api_key_sha256[{index}]");
        let digest =
            parse_digest(text).ok_or_else(|| vec![format!("{at} is not a SHA-256 as 64 lower-case hex digits")])?;
        match self.find(&digest) {
            Some(other) if *other.name == *name => return Err(vec![format!("{at} repeats one of its keys")]),
            Some(other) => return Err(vec![format!("consumers '{}' and '{name}' have the same API key", other.name)]),
            None => {}
        }
        let restrictions = restricted.map_or(Restrictions::default(), |key| Restrictions {
            expires: key.expires,
            routes: key.routes.as_deref(),
            networks: key.networks.as_deref(),
        });
        let id = restricted.and_then(|key| key.id.clone()).unwrap_or_else(|| format!("{name}/{index}"));
        let credential = Credential::new(&id, &restrictions, last_used)
            .map_err(|wrong| wrong.into_iter().map(|wrong| format!("{at}: {wrong}")).collect::<Vec<_>>())?;
        let scopes = restricted.and_then(|key| key.scopes.as_ref()).unwrap_or(&settings.scopes);
        let facts = settings.facts(scopes, "api_key");
        let consumer = Arc::new(Consumer::proved(name, &facts, Some(Arc::new(credential))));
        self.by_start.entry(start(&digest)).or_default().push((digest, consumer));
        Ok(())
    }

    pub fn find(&self, digest: &Digest) -> Option<&Arc<Consumer>> {
        let candidates = self.by_start.get(&start(digest))?;
        candidates.iter().find(|(known, _)| bool::from(known.ct_eq(digest))).map(|(_, consumer)| consumer)
    }
}

fn start(digest: &Digest) -> [u8; 8] {
    let mut start = [0; 8];
    start.copy_from_slice(&digest[..8]);
    start
}

pub(super) fn parse_digest(text: &str) -> Option<Digest> {
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
        let key = |key: &&str| snapshot::ApiKey::Anywhere((*key).to_owned());
        let settings = |keys: &[&str]| snapshot::Consumer {
            api_key_sha256: keys.iter().map(key).collect(),
            ..snapshot::Consumer::default()
        };
        keys.iter().map(|(name, keys)| ((*name).to_owned(), settings(keys))).collect()
    }

    fn compiled(consumers: &BTreeMap<String, snapshot::Consumer>, report: &mut Report) -> Credentials {
        Credentials::new(consumers, &Plans::default(), &Shared::new(1), report)
    }

    #[test]
    fn a_consumer_is_found_by_each_of_its_keys() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let mut report = Report::default();
        let credentials = compiled(&consumers(&[("web", &[&one, &two])]), &mut report);
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
        compiled(&consumers(&[("app", &[&one]), ("mail", &[&short]), ("web", &[&one])]), &mut report);
        assert_eq!(
            report.errors,
            [
                "consumer 'mail': api_key_sha256[0] is not a SHA-256 as 64 lower-case hex digits",
                "consumers 'app' and 'web' have the same API key",
            ]
        );
    }
}
