//! Where passwords are verified: on threads of their own, so many at once, and not many more waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::{hmac, rand};
use http::{header, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::password::Password;
use super::users::Users;
use super::verified::Verified;
use crate::error::{Error, Kind};

/// At once over all workers; each may need 64 MiB.
const VERIFICATIONS: usize = 4;
/// Requests that wait for one; more are 503.
const WAITING: usize = 64;

pub struct Verifier {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    verified: Verified,
    /// Of this process alone.
    secret: hmac::Key,
    stand_in: Arc<Password>,
}

impl Verifier {
    pub fn new(workers: usize) -> Self {
        let mut secret = [0; 32];
        // The system's generator does not fail once the process runs; if it did, the memory of what was verified would still
        // be told by no one but this process.
        let _filled = rand::fill(&mut secret);
        Self {
            permits: Arc::new(Semaphore::new(workers.clamp(1, VERIFICATIONS))),
            waiting: AtomicUsize::new(0),
            verified: Verified::default(),
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            stand_in: Arc::new(Password::stand_in()),
        }
    }

    /// `credential` is `name:password`. With another hash of the same password it is another credential.
    fn mac(&self, password: &Password, credential: &str) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.secret);
        mac.update(&password.fingerprint);
        mac.update(credential.as_bytes());
        mac.sign()
    }

    pub(super) fn remembers(&self, password: &Password, credential: &str) -> bool {
        self.verified.contains(&self.mac(password, credential), Instant::now())
    }

    pub(super) fn remember(&self, password: &Password, credential: &str) {
        self.verified.insert(&self.mac(password, credential), Instant::now());
    }

    /// For a name that nobody has: the passwords of one of the names that there are, always the same for the same name, so
    /// that strangers are refused as late as users are.
    pub(super) fn stand_in(&self, name: &str, users: &Users, registered: &Users) -> Vec<Arc<Password>> {
        let count = users.len() + registered.len();
        let mac = hmac::sign(&self.secret, name.as_bytes());
        let number = mac.as_ref().iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let index = number.checked_rem(count as u64).unwrap_or_default() as usize;
        let found = match index.checked_sub(users.len()) {
            None => users.passwords(index),
            Some(index) => registered.passwords(index),
        };
        found.unwrap_or_else(|| vec![self.stand_in.clone()])
    }

    /// Waits for its turn, and is refused where too many do or the time of its request runs out.
    pub(super) async fn enter(&self, deadline: Instant) -> Result<Permit, Error> {
        let crowded = || {
            Error::new(Kind::Overloaded, "Too many credentials are to be verified; try again later")
                .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        };
        let place = Place::take(&self.waiting).ok_or_else(crowded)?;
        let permit = timeout_at(deadline.into(), self.permits.clone().acquire_owned()).await.map_err(|_| crowded())?;
        drop(place);
        permit.map(|turn| Permit { _turn: turn }).map_err(|closed| unverified(&closed))
    }
}

fn unverified(cause: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Internal, "The credential could not be verified").cause(cause)
}

/// One of those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Permit {
    _turn: OwnedSemaphorePermit,
}

impl Permit {
    /// Away from the worker. Goes on to its end where the client leaves, and keeps its turn until then.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let run = move || {
            let outcome = work();
            drop(self);
            outcome
        };
        tokio::task::spawn_blocking(run).await.map_err(|panic| unverified(&panic))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::authenticate::{basic::password, Consumer};

    #[test]
    fn no_more_wait_than_there_are_places() {
        let waiting = AtomicUsize::new(0);
        let places: Vec<_> = (0..WAITING).map(|_| Place::take(&waiting).unwrap()).collect();
        assert!(Place::take(&waiting).is_none());
        drop(places);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn strangers_are_verified_against_a_password_like_those_of_users() {
        let (verifier, none) = (Verifier::new(1), Users::default());
        assert!(Arc::ptr_eq(&verifier.stand_in("eve", &none, &none)[0], &verifier.stand_in));
        let mut users = Users::default();
        let phc = serde_json::from_value(json!(password::hash("secret").unwrap())).unwrap();
        for _ in 0..2 {
            users.add(Arc::new(Consumer::new("web", &[], "basic")), "web", &phc).unwrap();
        }
        for found in [verifier.stand_in("eve", &none, &users), verifier.stand_in("eve", &users, &none)] {
            assert_eq!(found.len(), 2);
            assert!(found.iter().zip(users.get("web")).all(|(one, other)| Arc::ptr_eq(one, &other.password)));
        }
    }
}
