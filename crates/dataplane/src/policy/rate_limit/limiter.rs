//! The counters of all rate limits: shared by the workers, bounded in number, and kept when the program changes.

use std::collections::hash_map::{DefaultHasher, RandomState};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

const SHARDS: usize = 64;
/// Callers counted apart, over all rules; about 40 bytes each. Beyond it, new callers of a rule share one counter until
/// others have expired: a flood of invented callers can neither fill the memory nor push out those already counted.
pub const MAX_COUNTERS: usize = 1 << 20;
/// A shard looks for expired counters each time it has doubled since the last look.
const FIRST_SWEEP: usize = 256;

/// GCRA (ITU-T I.371): a counter holds the time at which the allowance is full again, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub limit: u64,
    pub per: Duration,
    /// Requests that may come at once.
    pub burst: u64,
    /// What one request costs.
    increment: u64,
    /// How far the allowance may be overdrawn: the cost of `burst` requests.
    tolerance: u64,
}

/// What a rule says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// How many more may come at once, and how long until the allowance is full again.
    Taken { remaining: u64, full_after: Duration },
    /// How long until one may come.
    Refused { retry_after: Duration },
}

impl Rate {
    pub fn new(limit: u64, per_ms: u64, burst: u64) -> Result<Self, String> {
        if limit == 0 || per_ms == 0 || burst == 0 {
            return Err("limit, per and burst are at least 1".to_owned());
        }
        let per = per_ms.checked_mul(1_000_000).ok_or("the time is too long")?;
        let increment = (per / limit).max(1);
        let tolerance = increment.checked_mul(burst).filter(|tolerance| *tolerance < 1 << 62);
        let tolerance = tolerance.ok_or("the burst takes too long to refill")?;
        Ok(Self { limit, per: Duration::from_millis(per_ms), burst, increment, tolerance })
    }

    /// What `take` would say, and the counter's new value if it is yes.
    fn judge(&self, full_at: u64, now: u64) -> (Verdict, u64) {
        // Never fuller than this rate can make it: the rate may have changed since the counter was written.
        let full_at = full_at.clamp(now, now + self.tolerance);
        let new = full_at + self.increment;
        let used = new - now;
        match self.tolerance.checked_sub(used) {
            Some(left) => {
                let full_after = Duration::from_nanos(used);
                (Verdict::Taken { remaining: left / self.increment, full_after }, new)
            }
            None => (Verdict::Refused { retry_after: Duration::from_nanos(used - self.tolerance) }, full_at),
        }
    }

    pub fn peek(&self, counter: &AtomicU64, now: u64) -> Verdict {
        self.judge(counter.load(Ordering::Relaxed), now).0
    }

    pub fn take(&self, counter: &AtomicU64, now: u64) -> Verdict {
        let mut seen = counter.load(Ordering::Relaxed);
        loop {
            let (verdict, new) = self.judge(seen, now);
            if matches!(verdict, Verdict::Refused { .. }) {
                return verdict;
            }
            match counter.compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdict,
                Err(changed) => seen = changed,
            }
        }
    }

    /// What is left if the request is not counted after all.
    pub fn untaken(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Refused { .. } => verdict,
            Verdict::Taken { remaining, full_after } => Verdict::Taken {
                remaining: remaining + 1,
                full_after: full_after.saturating_sub(Duration::from_nanos(self.increment)),
            },
        }
    }

    /// Undoes one `take`.
    pub fn give_back(&self, counter: &AtomicU64) {
        // The closure always yields a value, so this cannot fail.
        let _ = counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| Some(full_at.saturating_sub(self.increment)));
    }
}

/// Whom a counter counts.
#[derive(Hash)]
pub enum Key<'a> {
    Consumer(&'a str),
    /// IPv6 by its /64, which is what one client has.
    Address(u64, u64),
    /// A name from an address.
    Named(&'a str, (u64, u64)),
    /// All lines of the field; callers without it count as one.
    Header(Vec<&'a [u8]>),
}

impl<'a> Key<'a> {
    pub fn address(address: IpAddr) -> Self {
        let (kind, network) = network(address);
        Key::Address(kind, network)
    }

    pub fn named(name: &'a str, address: IpAddr) -> Self {
        Key::Named(name, network(address))
    }
}

fn network(address: IpAddr) -> (u64, u64) {
    match address.to_canonical() {
        IpAddr::V4(address) => (4, u32::from(address).into()),
        IpAddr::V6(address) => (6, (u128::from(address) >> 64) as u64),
    }
}

/// The counters of one rule.
pub struct Counters {
    /// Already fed with the rule's identity, under keys that no caller knows: callers cannot make others collide.
    hashers: (DefaultHasher, DefaultHasher),
    /// That of a rule by route; for other rules that of callers beyond the bound.
    pub shared: Arc<AtomicU64>,
}

impl Counters {
    pub fn key(&self, key: &Key<'_>) -> u128 {
        let (mut one, mut two) = self.hashers.clone();
        key.hash(&mut one);
        key.hash(&mut two);
        u128::from(one.finish()) << 64 | u128::from(two.finish())
    }
}

pub struct Limiter {
    epoch: Instant,
    seeds: (RandomState, RandomState),
    shards: Vec<RwLock<Shard>>,
    /// `Counters::shared` by rule.
    shared: Mutex<HashMap<Box<str>, Weak<AtomicU64>>>,
    capacity: usize,
}

#[derive(Default)]
struct Shard {
    counters: FxHashMap<u128, AtomicU64>,
    sweep_at: usize,
    swept: u64,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::with_capacity(MAX_COUNTERS)
    }
}

impl Limiter {
    pub fn new() -> Self {
        Self::default()
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            epoch: Instant::now(),
            seeds: (RandomState::new(), RandomState::new()),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            shared: Mutex::default(),
            capacity: capacity / SHARDS,
        }
    }

    /// A time as counters have it. It begins late enough for the past of the first request to exist.
    pub fn now(&self, instant: Instant) -> u64 {
        const HOUR: u64 = 3_600_000_000_000;
        HOUR + instant.saturating_duration_since(self.epoch).as_nanos() as u64
    }

    /// The counters of the rule of that identity, which may have been there before.
    pub fn counters(&self, rule: &str) -> Counters {
        let mut shared = self.shared.lock();
        // What no program has any more is forgotten when the map would have to grow.
        if shared.len() == shared.capacity() {
            shared.retain(|_, counter| counter.strong_count() > 0);
        }
        let counter = shared.get(rule).and_then(Weak::upgrade).unwrap_or_default();
        shared.insert(rule.into(), Arc::downgrade(&counter));
        let mut hashers = (self.seeds.0.build_hasher(), self.seeds.1.build_hasher());
        rule.hash(&mut hashers.0);
        rule.hash(&mut hashers.1);
        Counters { hashers, shared: counter }
    }

    /// Does `action` with the counter of `key`, made if it is new; with `beyond` where there is no room for it.
    pub fn with<T>(&self, key: u128, beyond: &AtomicU64, now: u64, action: impl FnOnce(&AtomicU64) -> T) -> T {
        let shard = &self.shards[key as usize % SHARDS];
        if let Some(counter) = shard.read().counters.get(&key) {
            return action(counter);
        }
        let mut shard = shard.write();
        if !shard.make_room(self.capacity, now) && !shard.counters.contains_key(&key) {
            return action(beyond);
        }
        action(shard.counters.entry(key).or_default())
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().counters.len()).sum()
    }
}

impl Shard {
    /// Whether one more fits. Looks for expired counters when the shard has doubled, and when it is full at most every
    /// tenth of a second, so that a flood of callers does not make each of them pay for a look.
    fn make_room(&mut self, capacity: usize, now: u64) -> bool {
        let full = self.counters.len() >= capacity;
        let due = self.counters.len() >= self.sweep_at.max(FIRST_SWEEP);
        if (full || due) && now.saturating_sub(self.swept) > 100_000_000 {
            // A counter that is full again says the same as none.
            self.counters.retain(|_, full_at| *full_at.get_mut() > now);
            self.sweep_at = self.counters.len() * 2;
            self.swept = now;
        }
        self.counters.len() < capacity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(limit: u64, per_ms: u64, burst: u64) -> Rate {
        Rate::new(limit, per_ms, burst).expect("valid")
    }

    fn remaining(verdict: Verdict) -> Option<u64> {
        match verdict {
            Verdict::Taken { remaining, .. } => Some(remaining),
            Verdict::Refused { .. } => None,
        }
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_allowance_is_used_up_and_comes_back_steadily() {
        let (rate, counter) = (rate(2, 1000, 3), AtomicU64::new(0));
        let start = 100 * SECOND;
        let takes: Vec<_> = (0..5).map(|_| remaining(rate.take(&counter, start))).collect();
        assert_eq!(takes, [Some(2), Some(1), Some(0), None, None]);
        let half = Duration::from_millis(500);
        assert_eq!(rate.take(&counter, start), Verdict::Refused { retry_after: half });
        assert_eq!(remaining(rate.take(&counter, start + SECOND / 2 - 1)), None);
        let full_after = Duration::from_millis(1500);
        assert_eq!(rate.take(&counter, start + SECOND / 2), Verdict::Taken { remaining: 0, full_after });
        assert_eq!(remaining(rate.take(&counter, start + 60 * SECOND)), Some(2), "never more than the burst");
    }

    #[test]
    fn a_changed_rate_never_holds_a_caller_longer_than_itself_would() {
        let (slow, fast, counter) = (rate(1, 86_400_000, 1), rate(10, 1000, 10), AtomicU64::new(0));
        let now = 100 * SECOND;
        assert_eq!(remaining(slow.take(&counter, now)), Some(0));
        assert_eq!(fast.peek(&counter, now), Verdict::Refused { retry_after: Duration::from_millis(100) });
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (rate, counter) = (rate(1, 1000, 2), AtomicU64::new(0));
        let now = 100 * SECOND;
        assert_eq!(remaining(rate.take(&counter, now)), Some(1));
        assert_eq!(remaining(rate.take(&counter, now)), Some(0));
        rate.give_back(&counter);
        assert_eq!(remaining(rate.take(&counter, now)), Some(0));
        assert_eq!(remaining(rate.take(&counter, now)), None);
    }

    #[test]
    fn sixty_four_threads_at_a_frozen_clock_get_exactly_the_burst() {
        let limiter = Limiter::new();
        let counters = limiter.counters("items/0");
        let rate = rate(1000, 1000, 500);
        let now = limiter.now(Instant::now());
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let key = counters.key(&Key::Consumer("web"));
                        let verdict = limiter.with(key, &counters.shared, now, |counter| rate.take(counter, now));
                        admitted.fetch_add(u64::from(remaining(verdict).is_some()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 500);
    }

    #[test]
    fn a_rule_counts_on_under_its_name_and_callers_apart() {
        let limiter = Limiter::new();
        let now = limiter.now(Instant::now());
        let (one, same, other) = (limiter.counters("a"), limiter.counters("a"), limiter.counters("b"));
        assert!(Arc::ptr_eq(&one.shared, &same.shared));
        assert_eq!(one.key(&Key::Consumer("web")), same.key(&Key::Consumer("web")));
        assert_ne!(one.key(&Key::Consumer("web")), other.key(&Key::Consumer("web")));
        assert_ne!(one.key(&Key::Consumer("web")), one.key(&Key::Consumer("app")));
        assert_ne!(one.key(&Key::Header(vec![b"a", b"b"])), one.key(&Key::Header(vec![b"ab"])));
        let rate = rate(1, 1000, 1);
        let take = |name: &str| {
            let key = one.key(&Key::Consumer(name));
            remaining(limiter.with(key, &one.shared, now, |counter| rate.take(counter, now)))
        };
        assert_eq!([take("web"), take("web"), take("app")], [Some(0), None, Some(0)]);
    }

    #[test]
    fn an_address_is_counted_as_what_one_client_has() {
        let key = |text: &str| {
            let (one, two) = match Key::address(text.parse().expect("an address")) {
                Key::Address(one, two) => (one, two),
                _ => unreachable!("an address"),
            };
            (one, two)
        };
        assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn a_flood_of_callers_is_bounded_and_shares_one_counter() {
        let limiter = Limiter::with_capacity(64 * 4);
        let counters = limiter.counters("a");
        let rate = rate(1, 1000, 1);
        let now = limiter.now(Instant::now());
        let take = |address: u64, now: u64| {
            let key = counters.key(&Key::Address(4, address));
            limiter.with(key, &counters.shared, now, |counter| rate.take(counter, now))
        };
        let admitted = (0..10_000).filter(|address| remaining(take(*address, now)).is_some()).count();
        assert_eq!(limiter.len(), 64 * 4);
        assert_eq!(admitted, 64 * 4 + 1, "each that is counted alone, and one of the others");
        assert_eq!(remaining(take(10_001, now + 2 * SECOND)), Some(0), "there is room again once they have expired");
        assert!(limiter.len() < 64 * 4);
    }
}
