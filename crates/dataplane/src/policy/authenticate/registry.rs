//! The consumers of the store, beside those of the configuration: pushed as a whole, effective at the next request,
//! without a new Program.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use rustc_hash::FxHashMap;
use subtle::ConstantTimeEq;

use super::basic::Users;
use super::consumer::{parse_digest, Consumer, Digest, Facts, ANONYMOUS};
use super::credential::{Credential, Restrictions};
use super::mtls::Certificates;
use super::signature::SignatureKeys;
use crate::policy::plan::Plans;
use crate::shared::Shared;
use crate::snapshot::{self, Login, Registered};

/// Longer keys are not looked at.
pub const KEY_BYTES: usize = 512;

#[derive(Default)]
pub struct Registry {
    pub keys: Keys,
    pub users: Users,
    pub certificates: Certificates,
    pub signature_keys: SignatureKeys,
    pub plans: Plans,
    /// By consumer and API, the version that it is pinned to.
    pub pins: FxHashMap<Box<str>, BTreeMap<String, String>>,
}

impl Registry {
    /// Everything that is wrong, as sentences; no key and no hash is in them. `plans` are those of the configuration, which
    /// consumers of the registry may have too.
    pub fn new(settings: &snapshot::Registry, plans: &Plans, shared: &Shared) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let own = Plans::new(&settings.plans, &shared.limiter, &mut errors);
        let mut known = Self { plans: own, ..Self::default() };
        let mut keys = Keys::new(settings.hmac_key.reveal(), &mut errors);
        for (name, consumer) in &settings.consumers {
            if let Some(plan) =
                consumer.plan.as_deref().filter(|plan| plans.get(plan).or(known.plans.get(plan)).is_none())
            {
                errors.push(format!("consumer '{name}': there is no plan '{plan}'"));
            }
            if name == ANONYMOUS {
                errors.push(format!("consumer '{name}': that is the name of those who present nothing"));
            }
            // A credential that is not there costs as much to refuse as one that is.
            if consumer.disabled {
                continue;
            }
            if !consumer.versions.is_empty() {
                known.pins.insert(name.as_str().into(), consumer.versions.clone());
            }
            keys.add(name, consumer, shared, &mut errors);
            known.add(name, consumer, shared, &mut errors);
        }
        match errors.is_empty() {
            true => Ok(Self { keys, ..known }),
            false => Err(errors),
        }
    }
}

impl Registry {
    /// What is no API key.
    fn add(&mut self, name: &str, consumer: &snapshot::RegisteredConsumer, shared: &Shared, errors: &mut Vec<String>) {
        let mut note = |id: &str, added: Result<(), Vec<String>>| {
            let sentence = |wrong: String| format!("consumer '{name}': credential '{id}': {wrong}");
            errors.extend(added.err().into_iter().flatten().map(sentence));
        };
        for each in &consumer.basic {
            let proved = each.proves(name, consumer, "basic", shared);
            let Login { username, phc } = &each.credential;
            note(
                &each.id,
                proved.and_then(|proved| self.users.add(proved, username, phc).map_err(|wrong| vec![wrong])),
            );
        }
        for each in &consumer.certificates {
            let added = each.proves(name, consumer, "mtls", shared).and_then(|proved| {
                let other = self.certificates.add(proved, &each.credential);
                other.map_or(Ok(()), |other| Err(vec![format!("'{}' has the same certificate", other.name)]))
            });
            note(&each.id, added);
        }
        for each in &consumer.signature_keys {
            let proved = each.proves(name, consumer, "signature", shared);
            let add = |proved| self.signature_keys.add(proved, &each.credential).map_err(|wrong| vec![wrong]);
            note(&each.id, proved.and_then(add));
        }
    }
}

impl<T> Registered<T> {
    /// Its consumer, as it proves it.
    fn proves(
        &self,
        name: &str,
        consumer: &snapshot::RegisteredConsumer,
        scheme: &'static str,
        shared: &Shared,
    ) -> Result<Arc<Consumer>, Vec<String>> {
        let restrictions =
            Restrictions { expires: self.expires, routes: self.routes.as_deref(), networks: self.networks.as_deref() };
        let credential = Arc::new(Credential::new(&self.id, &restrictions, &shared.last_used)?);
        let facts = Facts { groups: &consumer.groups, scopes: &self.scopes, plan: consumer.plan.as_deref(), scheme };
        Ok(Arc::new(Consumer::proved(name, &facts, Some(credential))))
    }
}

/// API keys of the form `sd_PREFIX_SECRET`. The prefix finds the candidate; the HMAC of the whole key decides.
#[derive(Default)]
pub struct Keys {
    by_prefix: FxHashMap<Box<[u8]>, Known>,
    /// None where there are no keys.
    hmac: Option<hmac::Key>,
}

struct Known {
    mac: Digest,
    consumer: Arc<Consumer>,
}

/// What no key is compared with successfully but by a chance of 2^-256.
const NOBODY: Digest = [0; 32];

impl Keys {
    fn new(hex: &str, errors: &mut Vec<String>) -> Self {
        let secret = decode(hex).filter(|secret| secret.len() >= 16);
        if secret.is_none() {
            errors.push("hmac_key: it is not at least 16 bytes as hex digits".to_owned());
        }
        Self { by_prefix: FxHashMap::default(), hmac: secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret)) }
    }

    fn add(&mut self, name: &str, consumer: &snapshot::RegisteredConsumer, shared: &Shared, errors: &mut Vec<String>) {
        for key in &consumer.api_keys {
            let restrictions =
                Restrictions { expires: key.expires, routes: key.routes.as_deref(), networks: key.networks.as_deref() };
            let mut wrong = |what: String| errors.push(format!("consumer '{name}': key '{}': {what}", key.id));
            let Some(mac) = parse_digest(&key.hmac_sha256) else {
                wrong("hmac_sha256 is not 64 lower-case hex digits".to_owned());
                continue;
            };
            if key.prefix.is_empty() || !key.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                wrong("its prefix is not letters and digits".to_owned());
                continue;
            }
            let credential = match Credential::new(&key.id, &restrictions, &shared.last_used) {
                Ok(credential) => Arc::new(credential),
                Err(mistakes) => {
                    mistakes.into_iter().for_each(wrong);
                    continue;
                }
            };
            let facts = Facts {
                groups: &consumer.groups,
                scopes: &key.scopes,
                plan: consumer.plan.as_deref(),
                scheme: "api_key",
            };
            let known = Known { mac, consumer: Arc::new(Consumer::proved(name, &facts, Some(credential))) };
            if self.by_prefix.insert(key.prefix.as_bytes().into(), known).is_some() {
                wrong("another key has its prefix".to_owned());
            }
        }
    }

    /// One HMAC and one comparison, whether the key is right, wrong or of no known prefix, so that the time which this
    /// takes tells nothing. Without allocation.
    pub fn find(&self, key: &[u8]) -> Option<&Arc<Consumer>> {
        let secret = self.hmac.as_ref().filter(|_| !self.by_prefix.is_empty() && key.len() <= KEY_BYTES)?;
        let mac = authenticate(secret, key);
        let known = prefix(key).and_then(|prefix| self.by_prefix.get(prefix));
        let same = compare(known.map_or(&NOBODY, |known| &known.mac), mac.as_ref());
        known.filter(|_| same).map(|known| &known.consumer)
    }
}

fn authenticate(secret: &hmac::Key, key: &[u8]) -> hmac::Tag {
    #[cfg(test)]
    tests::WORK.with(|work| work.set((work.get().0 + 1, work.get().1)));
    hmac::sign(secret, key)
}

fn compare(known: &Digest, mac: &[u8]) -> bool {
    #[cfg(test)]
    tests::WORK.with(|work| work.set((work.get().0, work.get().1 + 1)));
    known.ct_eq(mac).into()
}

/// `PREFIX` of `sd_PREFIX_SECRET`.
fn prefix(key: &[u8]) -> Option<&[u8]> {
    let rest = key.strip_prefix(b"sd_")?;
    rest.iter().position(|byte| *byte == b'_').map(|end| &rest[..end])
}

fn decode(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{json, Value};

    use super::*;

    thread_local! {
        /// HMACs and comparisons so far.
        pub static WORK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const KEY: &str = "sd_k3yone_thesecretpart";

    fn key(id: &str, text: &str) -> Value {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &decode(SECRET).unwrap());
        let mac: String =
            hmac::sign(&secret, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let prefix = text.split('_').nth(1).unwrap();
        json!({"id": id, "prefix": prefix, "hmac_sha256": mac, "scopes": ["read"], "expires": null, "routes": null,
            "networks": null})
    }

    fn registry(consumers: Value) -> Result<Registry, Vec<String>> {
        let settings = json!({"hmac_key": SECRET, "consumers": consumers, "plans": {"gold": {"rate_limit": []}}});
        let settings = serde_json::from_value(settings).unwrap();
        Registry::new(&settings, &Plans::default(), &Shared::new(1))
    }

    #[test]
    fn a_right_key_a_wrong_one_and_one_of_no_known_prefix_are_the_same_work() {
        let consumer =
            json!({"groups": ["staff"], "plan": "gold", "api_keys": [key("1", KEY), key("2", "sd_other_x")]});
        let registry = registry(json!({"web": consumer})).unwrap();
        for (text, found) in [
            (KEY, true),
            ("sd_k3yone_thesecretpars", false),
            ("sd_k3yone_", false),
            ("sd_unknown_thesecretpart", false),
            ("sd_", false),
            ("nothing of that form", false),
            ("", false),
        ] {
            WORK.set((0, 0));
            assert_eq!(registry.keys.find(text.as_bytes()).is_some(), found, "{text}");
            assert_eq!(WORK.get(), (1, 1), "{text}");
        }
        let consumer = registry.keys.find(KEY.as_bytes()).unwrap();
        assert_eq!((&*consumer.name, consumer.plan.as_deref(), &*consumer.scopes[0]), ("web", Some("gold"), "read"));
    }

    #[test]
    fn no_credential_of_a_disabled_consumer_is_valid() {
        let consumer = json!({"groups": [], "plan": null, "disabled": true, "api_keys": [key("1", KEY)]});
        assert!(registry(json!({"web": consumer})).unwrap().keys.find(KEY.as_bytes()).is_none());
    }

    #[test]
    fn every_mistake_is_told_and_no_secret() {
        let mut bad = key("2", "sd_two_x");
        bad["networks"] = json!(["10.0.0.0/99"]);
        let mut short = key("3", "sd_three_x");
        short["hmac_sha256"] = json!("abc");
        let keys = json!([key("1", KEY), bad, short, key("4", KEY)]);
        let wrong = registry(json!({"web": {"groups": [], "plan": "lead", "api_keys": keys}})).err().unwrap();
        assert_eq!(
            wrong,
            [
                "consumer 'web': there is no plan 'lead'",
                "consumer 'web': key '2': networks: '10.0.0.0/99' is not an address or network such as 10.0.0.0/8",
                "consumer 'web': key '3': hmac_sha256 is not 64 lower-case hex digits",
                "consumer 'web': key '4': another key has its prefix",
            ]
        );
    }
}
