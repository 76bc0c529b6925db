//! Failed attempts, counted for each name from each address and for each address over all names. A name from other
//! addresses is not held up: whoever guesses at it could lock its user out.

use std::net::IpAddr;
use std::time::Instant;

use http::header;

use crate::error::{Error, Kind};
use crate::policy::rate_limit::{seconds, Counters, Key, Limiter, Rate, Verdict};

/// Of one name from one address (IPv6: /64) at once; then one each `PAUSE_MS`.
const NAME_FAILURES: u64 = 5;
/// Of one address over all names at once; then one each `PAUSE_MS`.
const ADDRESS_FAILURES: u64 = 20;
const PAUSE_MS: u64 = 10 * 1000;

pub struct Attempts {
    name: (Rate, Counters),
    address: (Rate, Counters),
}

impl Attempts {
    /// The counters are the same for all routes and programs.
    pub fn new(limiter: &Limiter) -> Result<Self, String> {
        Ok(Self {
            name: (Rate::new(1, PAUSE_MS, NAME_FAILURES)?, limiter.counters("authenticate/basic/name")),
            address: (Rate::new(1, PAUSE_MS, ADDRESS_FAILURES)?, limiter.counters("authenticate/basic/address")),
        })
    }

    /// 429 where there were too many, whether the name is known or not.
    pub fn allow(&self, name: &str, address: IpAddr, limiter: &Limiter) -> Result<(), Error> {
        let now = limiter.now(Instant::now());
        for ((rate, counters), key) in self.both(name, address) {
            let verdict = limiter.with(counters.key(&key), &counters.shared, now, |counter| rate.peek(counter, now));
            if let Verdict::Refused { retry_after } = verdict {
                let error = Error::new(Kind::RateLimited, "Too many attempts failed; try again later");
                return Err(error.header(header::RETRY_AFTER, seconds(retry_after).max(1).into()));
            }
        }
        Ok(())
    }

    pub fn count(&self, name: &str, address: IpAddr, limiter: &Limiter) {
        let now = limiter.now(Instant::now());
        for ((rate, counters), key) in self.both(name, address) {
            limiter.with(counters.key(&key), &counters.shared, now, |counter| rate.take(counter, now));
        }
    }

    fn both<'a>(&'a self, name: &'a str, address: IpAddr) -> [(&'a (Rate, Counters), Key<'a>); 2] {
        [(&self.name, Key::named(name, address)), (&self.address, Key::address(address))]
    }
}
