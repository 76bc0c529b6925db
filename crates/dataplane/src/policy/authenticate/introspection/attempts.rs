//! Tokens that turned out not to be active, counted for each address: whoever invents tokens must not make us a burden for
//! the issuer.

use std::net::IpAddr;
use std::time::Instant;

use http::header;

use crate::error::{Error, Kind};
use crate::policy::rate_limit::{seconds, Counters, Key, Limiter, Rate, Verdict};

/// Of one address (IPv6: /64) at once; then one each `PAUSE_MS`. Many clients may share an address, and their tokens end.
pub const ADDRESS_FAILURES: u64 = 100;
pub const PAUSE_MS: u64 = 1000;

pub struct Attempts {
    rate: Rate,
    counters: Counters,
}

impl Attempts {
    /// The counters are the same for all routes and programs.
    pub fn new(limiter: &Limiter) -> Result<Self, String> {
        let counters = limiter.counters("authenticate/introspection/address");
        Ok(Self { rate: Rate::new(1, PAUSE_MS, ADDRESS_FAILURES)?, counters })
    }

    /// 429 where there were too many.
    pub fn allow(&self, address: IpAddr, limiter: &Limiter) -> Result<(), Error> {
        let (now, key) = (limiter.now(Instant::now()), self.counters.key(&Key::address(address)));
        match limiter.with(key, &self.counters.shared, now, |counter| self.rate.peek(counter, now)) {
            Verdict::Refused { retry_after } => {
                let error = Error::new(Kind::RateLimited, "Too many attempts failed; try again later");
                Err(error.header(header::RETRY_AFTER, seconds(retry_after).max(1).into()))
            }
            _ => Ok(()),
        }
    }

    pub fn count(&self, address: IpAddr, limiter: &Limiter) {
        let (now, key) = (limiter.now(Instant::now()), self.counters.key(&Key::address(address)));
        limiter.with(key, &self.counters.shared, now, |counter| self.rate.take(counter, now));
    }
}
