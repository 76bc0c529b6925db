//! A browser's session: what its cookie holds.

use serde::{Deserialize, Serialize};

use super::attempt;
use crate::policy::authenticate::issuer::token_endpoint::Tokens;
use crate::snapshot;

/// A cookie is renewed when this part of its idle time has passed, and not at every request.
const RENEWALS: u64 = 10;

/// Times in seconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The same from the login to the logout.
    pub id: String,
    pub id_token: String,
    pub refresh_token: Option<String>,
    /// When the ID token was verified.
    pub verified: u64,
    pub began: u64,
    /// When its cookie was made.
    pub seen: u64,
    /// When the provider is asked again whether the user is still logged in; None: never.
    pub fresh_until: Option<u64>,
}

/// What a session needs at some time.
#[derive(Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing, until then.
    Nothing {
        until: u64,
    },
    /// A new cookie, because of its idle time.
    Renewal,
    Refresh,
    /// It is over.
    Login,
}

impl Session {
    /// None where there is no randomness.
    pub fn begin(tokens: Tokens, id_token: String, now: u64) -> Option<Self> {
        let fresh_until = fresh_until(&tokens, now);
        Some(Self {
            id: attempt::random()?,
            id_token,
            refresh_token: tokens.refresh_token,
            verified: now,
            began: now,
            seen: now,
            fresh_until,
        })
    }

    /// With what the provider has answered to a refresh; what it has not said anew stays.
    pub fn refreshed(&self, tokens: Tokens, now: u64) -> Self {
        let fresh_until = fresh_until(&tokens, now);
        let refreshed = Self { seen: now, fresh_until, ..self.clone() };
        Self {
            verified: if tokens.id_token.is_some() { now } else { self.verified },
            id_token: tokens.id_token.unwrap_or(refreshed.id_token),
            refresh_token: tokens.refresh_token.or(refreshed.refresh_token),
            ..refreshed
        }
    }

    pub fn need(&self, settings: &snapshot::Session, now: u64) -> Need {
        let over = self.over(settings);
        if now >= over || now >= self.seen.saturating_add(settings.idle_s) {
            return Need::Login;
        }
        let fresh_until = self.fresh_until.filter(|_| self.refresh_token.is_some()).unwrap_or(u64::MAX);
        if now >= fresh_until {
            return Need::Refresh;
        }
        let renewal = self.seen.saturating_add((settings.idle_s / RENEWALS).max(1));
        match now >= renewal {
            true => Need::Renewal,
            false => Need::Nothing { until: renewal.min(fresh_until).min(over) },
        }
    }

    /// How long a browser keeps the cookie.
    pub fn age_s(&self, settings: &snapshot::Session, now: u64) -> u64 {
        self.over(settings).saturating_sub(now).min(settings.idle_s)
    }

    pub fn over(&self, settings: &snapshot::Session) -> u64 {
        self.began.saturating_add(settings.lifetime_s)
    }
}

fn fresh_until(tokens: &Tokens, now: u64) -> Option<u64> {
    tokens.expires_in.map(|seconds| now.saturating_add(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(fresh_until: Option<u64>) -> Session {
        Session {
            id: "1".to_owned(),
            id_token: String::new(),
            refresh_token: Some("r".to_owned()),
            verified: 1000,
            began: 1000,
            seen: 1000,
            fresh_until,
        }
    }

    fn settings() -> snapshot::Session {
        snapshot::Session { secrets: Vec::new(), lifetime_s: 500, idle_s: 100, cookie: String::new() }
    }

    #[test]
    fn a_session_ends_after_its_lifetime_and_when_it_idles() {
        let mut session = session(None);
        assert_eq!(session.need(&settings(), 1000), Need::Nothing { until: 1010 });
        assert_eq!(session.need(&settings(), 1010), Need::Renewal);
        assert_eq!(session.need(&settings(), 1099), Need::Renewal);
        assert_eq!(session.need(&settings(), 1100), Need::Login);
        session.seen = 1495;
        assert_eq!(session.need(&settings(), 1496), Need::Nothing { until: 1500 });
        assert_eq!(session.age_s(&settings(), 1496), 4);
        assert_eq!(session.need(&settings(), 1500), Need::Login);
    }

    #[test]
    fn a_session_is_refreshed_when_its_access_token_ends_and_it_can_be() {
        let mut session = session(Some(1005));
        assert_eq!(session.need(&settings(), 1000), Need::Nothing { until: 1005 });
        assert_eq!(session.need(&settings(), 1005), Need::Refresh);
        assert_eq!(session.need(&settings(), 1100), Need::Login, "idle counts more");
        session.refresh_token = None;
        assert_eq!(session.need(&settings(), 1005), Need::Nothing { until: 1010 });
    }
}
