//! Of all sessions, what one process has to know: those that are over before their time, attempts that were used, and
//! refreshes under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{digest, SHA256};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::provider::Failed;
use super::session::Session;

/// Ended sessions and used attempts that are remembered; the one that would be over first makes room.
pub const SPENT: usize = 65_536;
/// Refreshes under way, and those whose outcome is remembered.
pub const REFRESHES: usize = 10_000;
/// How long a refresh's outcome is for requests that were sent before its cookie arrived.
pub const REMEMBERED: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Sessions {
    /// By the digest of what is spent, the second until which anybody could show it.
    spent: Mutex<FxHashMap<[u8; 32], u64>>,
    refreshes: Mutex<Refreshes>,
}

/// By the digest of the token, with the time at which each began.
type Refreshes = FxHashMap<[u8; 32], (Instant, Arc<Refresh>)>;

/// What one refresh token has brought, once it has.
pub type Refresh = tokio::sync::Mutex<Option<Result<Arc<Session>, Failed>>>;

fn name(text: &str) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    name
}

impl Sessions {
    /// False where it was spent before: of two that spend the same, one does.
    pub fn spend(&self, text: &str, until: u64, now: u64) -> bool {
        let mut spent = self.spent.lock();
        if spent.len() >= SPENT {
            spent.retain(|_, until| now < *until);
        }
        if spent.len() >= SPENT {
            let first = spent.iter().min_by_key(|(_, until)| **until).map(|(name, _)| *name);
            first.and_then(|name| spent.remove(&name));
        }
        spent.insert(name(text), until).is_none()
    }

    pub fn is_spent(&self, text: &str) -> bool {
        let spent = self.spent.lock();
        !spent.is_empty() && spent.contains_key(&name(text))
    }

    /// It can be tried again.
    pub fn unspend(&self, text: &str) {
        self.spent.lock().remove(&name(text));
    }

    /// The one refresh that there is for a token. None: there are too many.
    pub fn refresh(&self, refresh_token: &str, now: Instant) -> Option<Arc<Refresh>> {
        let mut refreshes = self.refreshes.lock();
        if refreshes.len() >= REFRESHES {
            refreshes.retain(|_, (began, refresh)| is_wanted(*began, refresh, now));
        }
        let name = name(refresh_token);
        if let Some((began, refresh)) = refreshes.get(&name) {
            if is_wanted(*began, refresh, now) {
                return Some(refresh.clone());
            }
        }
        if refreshes.len() >= REFRESHES {
            return None;
        }
        let refresh = Arc::new(Refresh::default());
        refreshes.insert(name, (now, refresh.clone()));
        Some(refresh)
    }

    /// Those that wait get the outcome; the next one asks anew.
    pub fn forget(&self, refresh_token: &str) {
        self.refreshes.lock().remove(&name(refresh_token));
    }
}

fn is_wanted(began: Instant, refresh: &Refresh, now: Instant) -> bool {
    now.saturating_duration_since(began) < REMEMBERED || refresh.try_lock().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_spent_once_and_within_its_bound() {
        let sessions = Sessions::default();
        assert!(!sessions.is_spent("a"));
        assert!(sessions.spend("a", 10, 0) && !sessions.spend("a", 10, 0) && sessions.is_spent("a"));
        sessions.unspend("a");
        assert!(!sessions.is_spent("a"));
        for index in 0..u64::try_from(SPENT).expect("small") + 5 {
            sessions.spend(&index.to_string(), 100 + index, 0);
        }
        assert_eq!(sessions.spent.lock().len(), SPENT);
        assert!(!sessions.is_spent("0") && sessions.is_spent(&SPENT.to_string()));
    }

    #[test]
    fn one_refresh_token_has_one_refresh_for_a_while() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.refresh("a", now).expect("room");
        assert!(Arc::ptr_eq(&first, &sessions.refresh("a", now + REMEMBERED / 2).expect("room")));
        assert!(!Arc::ptr_eq(&first, &sessions.refresh("b", now).expect("room")));
        assert!(!Arc::ptr_eq(&first, &sessions.refresh("a", now + REMEMBERED).expect("room")));
        for index in 0..REFRESHES {
            sessions.refresh(&index.to_string(), now);
        }
        assert!(sessions.refresh("one more", now).is_none());
        assert!(sessions.refresh("one more", now + REMEMBERED).is_some());
    }
}
