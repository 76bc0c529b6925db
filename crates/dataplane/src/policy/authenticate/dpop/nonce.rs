//! Nonces of ours for proofs (RFC 9449 §8, §9): the MAC of the time, so none is kept, and gateways with one secret take
//! each other's.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use http::HeaderValue;
use subtle::ConstantTimeEq;

use crate::keys::base64url;
use crate::snapshot;

/// That a process makes up, for policies that have none in the configuration. None: there is no randomness.
pub struct NonceKey(Option<hmac::Key>);

impl Default for NonceKey {
    fn default() -> Self {
        Self(hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).ok())
    }
}

pub struct Nonces {
    /// The first makes them.
    keys: Vec<hmac::Key>,
    every_s: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Current,
    /// Good still, and too old when the present one is followed by another.
    Previous,
    Unknown,
}

impl Nonces {
    pub fn new(settings: &snapshot::Nonce, own: &NonceKey) -> Result<Self, String> {
        let mut keys: Vec<hmac::Key> =
            settings.secrets.iter().map(|secret| hmac::Key::new(HMAC_SHA256, secret.reveal().as_bytes())).collect();
        if keys.is_empty() {
            keys.push(own.0.clone().ok_or("there is no randomness to make a secret of")?);
        }
        Ok(Self { keys, every_s: settings.every_s.max(1) })
    }

    pub fn current(&self, now: f64) -> HeaderValue {
        let text = self.keys.first().map(|key| make(key, self.window(now))).unwrap_or_default();
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("none"))
    }

    pub fn check(&self, nonce: Option<&str>, now: f64) -> Freshness {
        let (Some(nonce), window) = (nonce, self.window(now)) else { return Freshness::Unknown };
        let is_of = |window| self.keys.iter().any(|key| make(key, window).as_bytes().ct_eq(nonce.as_bytes()).into());
        if is_of(window) {
            Freshness::Current
        } else if is_of(window.saturating_sub(1)) {
            Freshness::Previous
        } else {
            Freshness::Unknown
        }
    }

    fn window(&self, now: f64) -> u64 {
        // Seconds since 1970 without their fraction.
        now as u64 / self.every_s
    }
}

fn make(key: &hmac::Key, window: u64) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(b"stagedoor dpop nonce\0");
    context.update(&window.to_be_bytes());
    base64url::encode(context.sign())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(secrets: &[&str]) -> Nonces {
        let keys = secrets.iter().map(|secret| hmac::Key::new(HMAC_SHA256, secret.as_bytes())).collect();
        Nonces { keys, every_s: 60 }
    }

    #[test]
    fn a_nonce_is_good_for_two_windows_and_with_every_secret() {
        let (old, both, other) = (nonces(&["a"]), nonces(&["b", "a"]), nonces(&["c"]));
        let nonce = old.current(119.9);
        let nonce = nonce.to_str().ok();
        for (at, expected) in [(60.0, Freshness::Current), (120.0, Freshness::Previous), (180.0, Freshness::Unknown)] {
            assert_eq!(old.check(nonce, at), expected, "{at}");
            assert_eq!(both.check(nonce, at), expected, "{at}");
            assert_eq!(other.check(nonce, at), Freshness::Unknown);
        }
        assert_eq!(old.check(nonce, 59.0), Freshness::Unknown, "one of the future");
        assert_eq!(old.check(None, 60.0), Freshness::Unknown);
        assert_ne!(both.current(60.0), old.current(60.0));
    }
}
