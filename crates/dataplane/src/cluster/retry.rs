//! Whether a failed attempt may be followed by another one: pure rules, and the budget that keeps retries from
//! multiplying the load of a cluster that is failing already.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::snapshot::Retry;

/// How an attempt ended without an answer that could be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection; nothing was sent.
    Connect,
    /// A kept connection turned out to be closed; nothing was sent.
    Stale,
    /// The endpoint said that it has not looked at the request and will not (RFC 9113 §8.7).
    Refused,
    /// The connection ended after the request was written and before any answer. `reused`: the endpoint may simply have
    /// closed a connection that was idle.
    Reset {
        reused: bool,
    },
    /// An answer that is not HTTP, or a head that is too large.
    BadReply,
    Status(StatusCode),
}

/// What is known about the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) idempotent: bool,
    /// The whole body is still at hand.
    pub(super) replayable: bool,
}

/// RFC 9110 §9.2.2.
pub fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    GiveUp,
    /// On a new connection at once: the endpoint did nothing wrong, so this counts neither as an attempt nor against
    /// the budget. Happens at most once for a request.
    Reconnect,
    /// If attempts and the budget allow.
    Again,
}

pub(super) fn decide(policy: &Retry, failure: Failure, request: Request) -> Decision {
    let repeatable = request.idempotent && request.replayable;
    let again = match failure {
        Failure::Stale => return Decision::Reconnect,
        // RFC 9112 §9.3.1: a reused connection that closes before the answer is the one case for an automatic repeat.
        Failure::Reset { reused: true } if repeatable => return Decision::Reconnect,
        Failure::Connect | Failure::Refused => policy.connect_failure,
        Failure::Reset { .. } => policy.connect_failure && repeatable,
        Failure::BadReply => false,
        Failure::Status(status) => repeatable && policy.statuses.contains(&status.as_u16()),
    };
    if again {
        Decision::Again
    } else {
        Decision::GiveUp
    }
}

/// Pause before a further attempt: 10 ms doubling to 320 ms, of which a random part is taken so that callers spread.
pub(super) fn backoff(attempt: u32) -> Duration {
    let most = 10u64 << attempt.min(5);
    Duration::from_millis(fastrand::u64(most / 2..=most))
}

const WINDOW: usize = 10;
/// Retries in a window that are always allowed: three a second.
const LEAST: u32 = 3 * WINDOW as u32;

/// One worker's retries of one cluster over the last ten seconds.
pub(super) struct Budget {
    percent: Cell<u32>,
    seconds: RefCell<[Second; WINDOW]>,
    start: Instant,
}

#[derive(Clone, Copy, Default)]
struct Second {
    at: u64,
    calls: u32,
    retries: u32,
}

impl Budget {
    pub(super) fn new(percent: u32, start: Instant) -> Self {
        Self { percent: Cell::new(percent), seconds: RefCell::default(), start }
    }

    pub(super) fn set_percent(&self, percent: u32) {
        self.percent.set(percent);
    }

    fn with_second<R>(&self, now: Instant, change: impl FnOnce(&mut Second) -> R) -> R {
        let at = now.saturating_duration_since(self.start).as_secs();
        let mut seconds = self.seconds.borrow_mut();
        let second = &mut seconds[at as usize % WINDOW];
        if second.at != at {
            *second = Second { at, ..Second::default() };
        }
        change(second)
    }

    pub(super) fn call(&self, now: Instant) {
        self.with_second(now, |second| second.calls += 1);
    }

    /// Takes one retry, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let at = now.saturating_duration_since(self.start).as_secs();
        let (mut calls, mut retries) = (0u64, 0u64);
        for second in self.seconds.borrow().iter().filter(|second| second.at + WINDOW as u64 > at) {
            calls += u64::from(second.calls);
            retries += u64::from(second.retries);
        }
        let allowed = (calls * u64::from(self.percent.get()) / 100).max(u64::from(LEAST));
        if retries >= allowed {
            return false;
        }
        self.with_second(now, |second| second.retries += 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_is_tried_again() {
        let policy = Retry { attempts: 1, connect_failure: true, statuses: vec![503], budget_percent: 20 };
        let off = Retry { attempts: 0, connect_failure: false, statuses: vec![], budget_percent: 0 };
        let get = Request { idempotent: true, replayable: true };
        let post = Request { idempotent: false, replayable: true };
        let upload = Request { idempotent: true, replayable: false };
        let status = |code| Failure::Status(StatusCode::from_u16(code).unwrap());
        use Decision::{Again, GiveUp, Reconnect};
        // failure, then what happens to: get, post, streamed put, and a get where retries are off
        let table = [
            (Failure::Connect, [Again, Again, Again, GiveUp]),
            (Failure::Stale, [Reconnect, Reconnect, Reconnect, Reconnect]),
            (Failure::Refused, [Again, Again, Again, GiveUp]),
            (Failure::Reset { reused: true }, [Reconnect, GiveUp, GiveUp, Reconnect]),
            (Failure::Reset { reused: false }, [Again, GiveUp, GiveUp, GiveUp]),
            (Failure::BadReply, [GiveUp, GiveUp, GiveUp, GiveUp]),
            (status(503), [Again, GiveUp, GiveUp, GiveUp]),
            (status(502), [GiveUp, GiveUp, GiveUp, GiveUp]),
        ];
        for (failure, expected) in table {
            let got = [
                decide(&policy, failure, get),
                decide(&policy, failure, post),
                decide(&policy, failure, upload),
                decide(&off, failure, get),
            ];
            assert_eq!(got, expected, "{failure:?}");
        }
    }

    #[test]
    fn the_budget_allows_thirty_in_ten_seconds_or_the_percentage_and_refills() {
        let start = Instant::now();
        let budget = Budget::new(20, start);
        assert_eq!((0..100).filter(|_| budget.take(start)).count(), 30);
        for _ in 0..1000 {
            budget.call(start + Duration::from_secs(3));
        }
        assert_eq!((0..1000).filter(|_| budget.take(start + Duration::from_secs(3))).count(), 170);
        assert!(!budget.take(start + Duration::from_secs(9)));
        assert_eq!((0..1000).filter(|_| budget.take(start + Duration::from_secs(14))).count(), 30);
    }

    #[test]
    fn back_off_grows_and_stays_bounded() {
        for attempt in 0..40 {
            let pause = backoff(attempt);
            assert!(pause >= Duration::from_millis(5) && pause <= Duration::from_millis(320));
        }
    }
}
