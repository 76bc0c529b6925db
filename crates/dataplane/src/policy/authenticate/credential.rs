//! One credential of a consumer: how long, where and from where it is good, and when it was last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::Refusal;
use crate::error::Kind;
use crate::exchange::Exchange;
use crate::network::Networks;

pub struct Credential {
    pub id: Box<str>,
    /// Seconds since 1970; from then on it is not valid.
    expires: Option<u64>,
    /// Ids of the only routes on which it is good; a workflow route stands for its status resource too.
    routes: Option<Vec<Box<str>>>,
    /// Of the only clients for whom it is good.
    networks: Option<Networks>,
    /// Seconds since 1970; 0 is never.
    last_used: Arc<AtomicU64>,
}

/// As a snapshot or the registry has them.
#[derive(Default)]
pub struct Restrictions<'a> {
    pub expires: Option<u64>,
    pub routes: Option<&'a [String]>,
    pub networks: Option<&'a [String]>,
}

impl Credential {
    /// The mistakes are sentences without their place.
    pub fn new(id: &str, restrictions: &Restrictions<'_>, last_used: &LastUsed) -> Result<Self, Vec<String>> {
        let networks = restrictions.networks.map(Networks::parse).transpose();
        let networks = networks.map_err(|wrong| -> Vec<String> {
            let sentence = |text| format!("networks: '{text}' is not an address or network such as 10.0.0.0/8");
            wrong.into_iter().map(sentence).collect()
        })?;
        Ok(Self {
            id: id.into(),
            expires: restrictions.expires,
            routes: restrictions.routes.map(|routes| routes.iter().map(|route| route.as_str().into()).collect()),
            networks,
            last_used: last_used.of(id),
        })
    }

    /// Whether it is good for this request; notes that it was used if so. What forbids it is for the log alone.
    pub fn admit(&self, exchange: &Exchange) -> Result<(), Refusal> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal {
                cause: Some(self.because("has expired")),
                ..Refusal::new("The credential is not valid")
            });
        }
        let forbidden = |cause| Refusal {
            kind: Kind::Forbidden,
            cause: Some(self.because(cause)),
            ..Refusal::new("The credential may not be used for this")
        };
        if self.routes.as_ref().is_some_and(|routes| !routes.iter().any(|route| is_on(route, exchange))) {
            return Err(forbidden("is not for this route"));
        }
        // A client on a Unix socket has no address that a network could hold.
        let inside = |networks: &Networks| exchange.source().is_some() && networks.contains(exchange.client);
        if self.networks.as_ref().is_some_and(|networks| !inside(networks)) {
            return Err(forbidden("is not for this address"));
        }
        // Most requests find the second noted already, and the line that all workers share stays theirs to read.
        if self.last_used.load(Ordering::Relaxed) != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
        Ok(())
    }

    fn because(&self, cause: &str) -> String {
        format!("the credential '{}' {cause}", self.id)
    }
}

fn is_on(route: &str, exchange: &Exchange) -> bool {
    let id = exchange.route.as_ref().map_or("", |route| &route.id);
    id.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest == "@executions")
}

/// When each credential was last used, by id; kept when the program or the registry changes.
#[derive(Default)]
pub struct LastUsed(Mutex<FxHashMap<Box<str>, Arc<AtomicU64>>>);

impl LastUsed {
    fn of(&self, id: &str) -> Arc<AtomicU64> {
        let mut times = self.0.lock();
        if let Some(time) = times.get(id) {
            return time.clone();
        }
        // What no credential has any more is forgotten when the map would have to grow.
        if times.len() == times.capacity() {
            times.retain(|_, time| Arc::strong_count(time) > 1);
        }
        times.entry(id.into()).or_default().clone()
    }

    /// In seconds since 1970; without those that have not been used.
    pub fn times(&self) -> BTreeMap<String, u64> {
        let times = self.0.lock();
        let used = times.iter().map(|(id, time)| (id.to_string(), time.load(Ordering::Relaxed)));
        used.filter(|(_, time)| *time > 0).collect()
    }
}
