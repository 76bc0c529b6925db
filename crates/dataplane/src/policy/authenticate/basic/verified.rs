//! Credentials that have been verified lately, by an HMAC of them: neither the memory nor the time tells one.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// Only right credentials get in, so nobody can push out those of others by guessing.
const REMEMBERED: usize = 10_000;
/// After that a credential is verified anew.
const FRESH: Duration = Duration::from_secs(300);

#[derive(Default)]
pub struct Verified(RwLock<FxHashMap<[u8; 32], Instant>>);

impl Verified {
    pub fn contains(&self, mac: &hmac::Tag, now: Instant) -> bool {
        let until = key(mac).and_then(|key| self.0.read().get(&key).copied());
        until.is_some_and(|until| now < until)
    }

    pub fn insert(&self, mac: &hmac::Tag, now: Instant) {
        let Some(key) = key(mac) else { return };
        let mut known = self.0.write();
        if known.len() >= REMEMBERED {
            known.retain(|_, until| now < *until);
        }
        // Still full: an arbitrary one has to be verified again.
        if known.len() >= REMEMBERED {
            if let Some(one) = known.keys().next().copied() {
                known.remove(&one);
            }
        }
        known.insert(key, now + FRESH);
    }
}

fn key(mac: &hmac::Tag) -> Option<[u8; 32]> {
    mac.as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_in_time() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let mac = |number: usize| hmac::sign(&secret, &number.to_le_bytes());
        let (verified, now) = (Verified::default(), Instant::now());
        for number in 0..REMEMBERED + 10 {
            verified.insert(&mac(number), now);
        }
        assert_eq!(verified.0.read().len(), REMEMBERED);
        let last = mac(REMEMBERED + 9);
        assert!(verified.contains(&last, now + FRESH - Duration::from_nanos(1)));
        assert!(!verified.contains(&last, now + FRESH));
        verified.insert(&mac(0), now + FRESH);
        assert_eq!(verified.0.read().len(), 1, "what is no longer fresh makes room first");
    }
}
