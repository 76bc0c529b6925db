//! Which endpoint is next. Ejected ones are passed over, those already tried for this request come last.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::health::Admission;
use crate::snapshot::Balance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) index: usize,
    /// This request decides whether the endpoint returns.
    pub(super) probe: bool,
}

/// `turn` is this worker's place in the smooth weighted round robin, one cell for each endpoint.
/// Err says how long until the first endpoint may be probed: all of them are ejected, as `ejection.keep: 0` allows. They
/// get time to recover then and clients a quick 503. Where some are to be kept, all can be out only because others have
/// left the configuration since: the one that returns first serves.
pub(super) fn pick<'a>(
    (balance, keep): (Balance, usize),
    endpoints: &[Endpoint],
    turn: impl Fn(usize) -> &'a Cell<i64>,
    tried: &[usize],
) -> Result<Pick, Duration> {
    let mut chosen = Choice::new(balance);
    let mut second = Choice::new(balance);
    let mut wait = Duration::MAX;
    let mut first = 0;
    for (index, endpoint) in endpoints.iter().enumerate() {
        match endpoint.health.admission() {
            Admission::Open if tried.contains(&index) => second.offer(index, endpoint, &turn),
            Admission::Open => chosen.offer(index, endpoint, &turn),
            Admission::ProbeDue if endpoint.health.begin_probe() => return Ok(Pick { index, probe: true }),
            // Somebody probes it at this moment.
            Admission::ProbeDue if wait > Duration::from_secs(1) => (wait, first) = (Duration::from_secs(1), index),
            Admission::ProbeDue => {}
            Admission::Out(left) if left < wait => (wait, first) = (left, index),
            Admission::Out(_) => {}
        }
    }
    let choice = if chosen.best.is_some() { chosen } else { second };
    match choice.best {
        Some(index) => {
            if balance == Balance::RoundRobin {
                let turn = turn(index);
                turn.set(turn.get() - choice.total);
            }
            Ok(Pick { index, probe: false })
        }
        None if keep > 0 && !endpoints.is_empty() => Ok(Pick { index: first, probe: false }),
        None => Err(wait),
    }
}

struct Choice {
    balance: Balance,
    best: Option<usize>,
    /// The best one's turn, or its requests in flight for each unit of weight.
    score: f64,
    total: i64,
}

impl Choice {
    fn new(balance: Balance) -> Self {
        Self { balance, best: None, score: 0.0, total: 0 }
    }

    fn offer<'a>(&mut self, index: usize, endpoint: &Endpoint, turn: &impl Fn(usize) -> &'a Cell<i64>) {
        let weight = i64::from(endpoint.weight);
        self.total += weight;
        let first = self.best.is_none();
        let better = match self.balance {
            // nginx's smooth weighting: everyone earns its weight, the richest serves and pays the total.
            Balance::RoundRobin => {
                let turn = turn(index);
                turn.set(turn.get() + weight);
                let score = turn.get() as f64;
                let better = first || score > self.score;
                if better {
                    self.score = score;
                }
                better
            }
            Balance::LeastRequest => {
                let active = endpoint.health.active.load(Relaxed);
                let score = (f64::from(active) + 1.0) / weight as f64;
                // Equals take turns by lot, else the first endpoint would get every request of a quiet cluster.
                let better = first || score < self.score || (score == self.score && fastrand::bool());
                if better {
                    self.score = score;
                }
                better
            }
            // Weighted reservoir sampling: one pass, each is kept with the probability of its weight.
            Balance::Random => first || fastrand::i64(0..self.total) < weight,
        };
        if better {
            self.best = Some(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::super::endpoint::Address;
    use super::super::health::Health;
    use super::*;
    use crate::snapshot::Ejection;

    const NEVER_BACK: Ejection = Ejection { failures: 1, base_ms: 3_600_000, max_ms: 3_600_000, keep: 0 };

    fn endpoints(weights: &[u32]) -> (Vec<Endpoint>, Vec<Cell<i64>>) {
        let health = Health::default();
        let endpoint = |(index, weight): (usize, &u32)| {
            let name = format!("127.0.0.1:{}", index + 1);
            Endpoint {
                tls: None,
                address: Address::parse(&name).unwrap(),
                health: health.endpoint("c", &name),
                name: Arc::from(name),
                weight: *weight,
            }
        };
        (weights.iter().enumerate().map(endpoint).collect(), weights.iter().map(|_| Cell::new(0)).collect())
    }

    fn sequence(balance: Balance, (endpoints, turns): &(Vec<Endpoint>, Vec<Cell<i64>>), count: usize) -> Vec<usize> {
        (0..count).map(|_| pick((balance, 0), endpoints, |index| &turns[index], &[]).unwrap().index).collect()
    }

    #[test]
    fn round_robin_is_smooth_and_keeps_the_weights() {
        assert_eq!(sequence(Balance::RoundRobin, &endpoints(&[5, 1, 1]), 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(sequence(Balance::RoundRobin, &endpoints(&[1, 1]), 4), [0, 1, 0, 1]);
    }

    #[test]
    fn ejected_endpoints_are_passed_over_by_every_balance() {
        for balance in [Balance::RoundRobin, Balance::LeastRequest, Balance::Random] {
            let set = endpoints(&[1, 3, 1]);
            set.0[1].health.failed(&NEVER_BACK, false, Instant::now(), || true);
            let picked = sequence(balance, &set, 200);
            assert!(picked.contains(&0) && picked.contains(&2) && !picked.contains(&1), "{balance:?} {picked:?}");
        }
    }

    #[test]
    fn random_respects_weights_roughly_and_least_request_prefers_the_idle() {
        let picked = sequence(Balance::Random, &endpoints(&[1, 9]), 10_000);
        let share = picked.iter().filter(|index| **index == 1).count();
        assert!((8_500..9_500).contains(&share), "{share}");
        let set = endpoints(&[1, 1, 4]);
        set.0[0].health.active.store(1, Relaxed);
        set.0[2].health.active.store(7, Relaxed);
        assert_eq!(sequence(Balance::LeastRequest, &set, 5), [1; 5]);
    }

    #[test]
    fn another_endpoint_is_preferred_for_a_retry_and_the_same_one_taken_when_there_is_no_other() {
        let (endpoints, turns) = endpoints(&[1, 1]);
        for _ in 0..4 {
            assert_eq!(pick((Balance::RoundRobin, 0), &endpoints, |index| &turns[index], &[0]).unwrap().index, 1);
        }
        assert!(pick((Balance::RoundRobin, 0), &endpoints, |index| &turns[index], &[0, 1]).is_ok());
    }

    #[test]
    fn when_all_are_ejected_the_wait_is_that_of_the_first_to_return_and_then_one_request_probes() {
        let (endpoints, turns) = endpoints(&[1, 1]);
        let short = Ejection { failures: 1, base_ms: 40_000, max_ms: 40_000, keep: 0 };
        endpoints[0].health.failed(&NEVER_BACK, false, Instant::now(), || true);
        endpoints[1].health.failed(&short, false, Instant::now(), || true);
        let wait = pick((Balance::RoundRobin, 0), &endpoints, |index| &turns[index], &[]).unwrap_err();
        assert!(wait <= Duration::from_secs(40) && wait > Duration::from_secs(30), "{wait:?}");
        let kept = pick((Balance::RoundRobin, 1), &endpoints, |index| &turns[index], &[]).unwrap();
        assert_eq!(kept, Pick { index: 1, probe: false });
        let over = Ejection { failures: 1, base_ms: 1, max_ms: 1, keep: 0 };
        endpoints[1].health.succeeded(true);
        let Some(past) = Instant::now().checked_sub(Duration::from_secs(5)) else {
            return;
        };
        endpoints[1].health.failed(&over, false, past, || true);
        while endpoints[1].health.admission() != Admission::ProbeDue {
            std::thread::yield_now();
        }
        let probe = pick((Balance::RoundRobin, 0), &endpoints, |index| &turns[index], &[]).unwrap();
        assert_eq!(probe, Pick { index: 1, probe: true });
        assert!(
            pick((Balance::RoundRobin, 0), &endpoints, |index| &turns[index], &[]).is_err(),
            "only one probe at a time"
        );
    }
}
