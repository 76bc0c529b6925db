//! Passive health: what live traffic says about an endpoint. State survives a new Program, keyed by cluster and authority.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::snapshot::Ejection;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// Held while somebody decides that an endpoint is left out.
static EJECTING: Mutex<()> = Mutex::new(());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// All endpoints that a Program knows. Locked while a Program is compiled and never by a request.
#[derive(Default)]
pub struct Health {
    endpoints: Mutex<FxHashMap<(String, String), Weak<EndpointHealth>>>,
}

impl Health {
    /// The state of this endpoint, carried over if a Program or an exchange still holds it.
    pub fn endpoint(&self, cluster: &str, authority: &str) -> Arc<EndpointHealth> {
        let mut endpoints = self.endpoints.lock();
        endpoints.retain(|_, endpoint| endpoint.strong_count() > 0);
        let key = (cluster.to_owned(), authority.to_owned());
        if let Some(endpoint) = endpoints.get(&key).and_then(Weak::upgrade) {
            return endpoint;
        }
        let endpoint = Arc::new(EndpointHealth::new());
        endpoints.insert(key, Arc::downgrade(&endpoint));
        endpoint
    }
}

/// One endpoint as all workers see it: atomics only.
pub struct EndpointHealth {
    /// Unique in the process and never used again, so that pools can be keyed by it.
    pub id: u64,
    failures: AtomicU32,
    /// Milliseconds of our clock until which it is left out; 0: it is not.
    out_until: AtomicU64,
    /// Ejections without a success in between: the exponent of the time out.
    ejections: AtomicU32,
    probing: AtomicBool,
    /// Requests on their way, counted for `least_request` only.
    pub(super) active: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Open,
    /// Its time out is over: the caller may send the one request that decides.
    ProbeDue,
    /// Left out for this long; a probe under way counts as one more second.
    Out(Duration),
}

/// What an answer or a failure did to the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Unchanged,
    Ejected,
    Returned,
}

fn milliseconds(now: Instant) -> u64 {
    // From 1: 0 means "not ejected".
    now.saturating_duration_since(*START).as_millis() as u64 + 1
}

impl EndpointHealth {
    fn new() -> Self {
        LazyLock::force(&START);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            ejections: AtomicU32::new(0),
            probing: AtomicBool::new(false),
            active: AtomicU32::new(0),
        }
    }

    /// One relaxed load for an endpoint that is well; the clock is read only for others.
    #[inline]
    pub fn admission(&self) -> Admission {
        match self.out_until.load(Relaxed) {
            0 => Admission::Open,
            until => self.admission_when_out(until, Instant::now()),
        }
    }

    #[cold]
    fn admission_when_out(&self, until: u64, now: Instant) -> Admission {
        let now = milliseconds(now);
        if now < until {
            Admission::Out(Duration::from_millis(until - now))
        } else if self.probing.load(Relaxed) {
            Admission::Out(Duration::from_secs(1))
        } else {
            Admission::ProbeDue
        }
    }

    /// Takes the right to probe; at most one holder at a time.
    pub fn begin_probe(&self) -> bool {
        self.probing.compare_exchange(false, true, Relaxed, Relaxed).is_ok()
    }

    /// The probe ended without an answer that says anything (its client went away): somebody else may try.
    pub fn abandon_probe(&self) {
        self.probing.store(false, Relaxed);
    }

    #[inline]
    pub fn succeeded(&self, probe: bool) -> Verdict {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if probe {
            return self.returned();
        }
        // A success of a request that was sent before the ejection says nothing about now; but a success while not
        // ejected ends the growth of the time out.
        if self.ejections.load(Relaxed) != 0 && self.out_until.load(Relaxed) == 0 {
            self.ejections.store(0, Relaxed);
        }
        Verdict::Unchanged
    }

    fn returned(&self) -> Verdict {
        self.out_until.store(0, Relaxed);
        self.probing.store(false, Relaxed);
        Verdict::Returned
    }

    /// `spare`: whether the cluster may do without one more endpoint; asked only where this one is to be left out.
    pub fn failed(&self, policy: &Ejection, probe: bool, now: Instant, spare: impl FnOnce() -> bool) -> Verdict {
        if policy.failures == 0 {
            // Ejection was switched off while this endpoint was out.
            return if probe { self.returned() } else { Verdict::Unchanged };
        }
        if probe {
            self.eject(policy, now);
            self.probing.store(false, Relaxed);
            return Verdict::Ejected;
        }
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < policy.failures || self.is_ejected() {
            return Verdict::Unchanged;
        }
        // Two workers must not each take the other's endpoint for the one that stays.
        let _alone = EJECTING.lock();
        if self.is_ejected() || !spare() {
            return Verdict::Unchanged;
        }
        self.eject(policy, now);
        Verdict::Ejected
    }

    fn eject(&self, policy: &Ejection, now: Instant) {
        let exponent = self.ejections.fetch_add(1, Relaxed).min(20);
        let out = policy.base_ms.saturating_mul(1 << exponent).min(policy.max_ms).max(1);
        self.failures.store(0, Relaxed);
        self.out_until.store(milliseconds(now) + out, Relaxed);
    }

    pub fn is_ejected(&self) -> bool {
        self.out_until.load(Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Ejection = Ejection { failures: 3, base_ms: 100, max_ms: 350, keep: 0 };

    fn out(endpoint: &EndpointHealth, now: Instant) -> Option<u64> {
        match endpoint.admission_when_out(endpoint.out_until.load(Relaxed), now) {
            Admission::Out(left) => Some(left.as_millis() as u64),
            _ => None,
        }
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_them_does_not_let_them_add_up() {
        let endpoint = EndpointHealth::new();
        let now = Instant::now();
        for _ in 0..5 {
            assert_eq!(endpoint.failed(&POLICY, false, now, || true), Verdict::Unchanged);
            assert_eq!(endpoint.failed(&POLICY, false, now, || true), Verdict::Unchanged);
            endpoint.succeeded(false);
        }
        endpoint.failed(&POLICY, false, now, || true);
        endpoint.failed(&POLICY, false, now, || true);
        assert_eq!(endpoint.failed(&POLICY, false, now, || true), Verdict::Ejected);
        assert_eq!(out(&endpoint, now), Some(100));
        // Requests that were under way do not make it longer.
        for _ in 0..9 {
            assert_eq!(endpoint.failed(&POLICY, false, now, || true), Verdict::Unchanged);
        }
        assert_eq!(out(&endpoint, now), Some(100));
    }

    #[test]
    fn an_endpoint_that_cannot_be_spared_stays_until_it_can() {
        let endpoint = EndpointHealth::new();
        let now = Instant::now();
        for _ in 0..9 {
            assert_eq!(endpoint.failed(&POLICY, false, now, || false), Verdict::Unchanged);
        }
        assert_eq!(endpoint.admission(), Admission::Open);
        assert_eq!(endpoint.failed(&POLICY, false, now, || true), Verdict::Ejected);
    }

    #[test]
    fn the_time_out_doubles_with_each_failed_probe_up_to_its_bound_and_one_probe_at_a_time_decides() {
        let endpoint = EndpointHealth::new();
        let mut now = Instant::now();
        for _ in 0..3 {
            endpoint.failed(&POLICY, false, now, || true);
        }
        for expected in [200, 350, 350] {
            now += Duration::from_secs(1);
            assert_eq!(endpoint.admission_when_out(endpoint.out_until.load(Relaxed), now), Admission::ProbeDue);
            assert!(endpoint.begin_probe());
            assert!(!endpoint.begin_probe());
            assert_eq!(out(&endpoint, now), Some(1000), "while a probe is under way nobody else is let in");
            assert_eq!(endpoint.failed(&POLICY, true, now, || true), Verdict::Ejected);
            assert_eq!(out(&endpoint, now), Some(expected));
        }
        now += Duration::from_secs(1);
        assert!(endpoint.begin_probe());
        assert_eq!(endpoint.succeeded(true), Verdict::Returned);
        assert_eq!(endpoint.admission(), Admission::Open);
    }

    #[test]
    fn state_is_carried_over_as_long_as_somebody_holds_it() {
        let health = Health::default();
        let first = health.endpoint("a", "host:1");
        assert_eq!(health.endpoint("a", "host:1").id, first.id);
        assert_ne!(health.endpoint("b", "host:1").id, first.id);
        let id = first.id;
        drop(first);
        assert_ne!(health.endpoint("a", "host:1").id, id);
    }
}
