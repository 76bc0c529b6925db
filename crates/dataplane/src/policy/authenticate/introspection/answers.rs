//! What issuers have said of tokens, for a while, and the questions under way: one at a time about each token. Kept when
//! the Program changes.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use crate::policy::authenticate::jwt::rules::time;
use crate::policy::authenticate::jwt::verified::{Name, Verified};
use crate::snapshot::Remember;

/// Questions under way to one issuer; more are 503.
pub const QUESTIONS: usize = 1_000;

/// What an issuer says of a token.
#[derive(Clone)]
pub struct Heard {
    /// None: it is not active.
    pub claims: Option<Arc<Map<String, Value>>>,
    /// When it said so, in seconds since 1970.
    pub at: f64,
}

impl Heard {
    /// Until when whoever remembers answers so long believes it: no longer than the token itself lives.
    pub fn until(&self, remember: &Remember) -> f64 {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        match &self.claims {
            None => self.at + seconds(remember.inactive_ms),
            Some(claims) => {
                let ends = time(claims, "exp").ok().flatten().unwrap_or(f64::INFINITY);
                ends.min(self.at + seconds(remember.active_ms))
            }
        }
    }
}

/// Whoever holds it asks; what came of it is for all who waited. An error is why nothing did, for the log.
pub type Turn = tokio::sync::Mutex<Option<Result<Heard, String>>>;

#[derive(Default)]
pub struct Answers {
    known: Verified<Heard>,
    under_way: Mutex<FxHashMap<Name, Arc<Turn>>>,
}

impl Answers {
    /// What was said lately enough for a policy, which another one may have asked for.
    pub fn find(&self, token: &Name, remember: &Remember, now: f64) -> Option<Heard> {
        self.known.find(token, now, |_| 0).filter(|heard| now < heard.until(remember))
    }

    /// The one question about this token. None: there are too many.
    pub fn turn(&self, token: &Name) -> Option<Arc<Turn>> {
        let mut under_way = self.under_way.lock();
        if let Some(turn) = under_way.get(token) {
            return Some(turn.clone());
        }
        if under_way.len() >= QUESTIONS {
            // Those whose asker is gone without a word.
            under_way.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        if under_way.len() >= QUESTIONS {
            return None;
        }
        let turn = Arc::new(Turn::default());
        under_way.insert(*token, turn.clone());
        Some(turn)
    }

    /// A failure is not remembered: the next one asks anew.
    pub fn end(&self, token: Name, heard: Option<&Heard>, remember: &Remember) {
        if let Some(heard) = heard.filter(|heard| heard.at < heard.until(remember)) {
            self.known.remember(token, heard.clone(), (0, 0), heard.until(remember), heard.at);
        }
        self.under_way.lock().remove(&token);
    }
}

/// The answers of each issuer to each of its clients.
#[derive(Default)]
pub struct Introspections(Mutex<FxHashMap<String, Arc<Answers>>>);

impl Introspections {
    pub fn of(&self, identity: &str) -> Arc<Answers> {
        let mut all = self.0.lock();
        // Those that no Program names any more.
        all.retain(|known, answers| known == identity || Arc::strong_count(answers) > 1);
        all.entry(identity.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_question_about_a_token_and_a_bound_over_all() {
        let (answers, name) = (Answers::default(), |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            name
        });
        let turns: Vec<_> = (0..QUESTIONS).map(|number| answers.turn(&name(number)).expect("room")).collect();
        assert!(Arc::ptr_eq(&turns[0], &answers.turn(&name(0)).expect("the same")));
        assert!(answers.turn(&name(QUESTIONS)).is_none());
        let [long, short] = [10_000, 5_000].map(|ms| Remember { active_ms: 0, inactive_ms: ms });
        let heard = Heard { claims: None, at: 10.0 };
        answers.end(name(0), Some(&heard), &long);
        assert!(answers.find(&name(0), &long, 19.9).is_some() && answers.find(&name(0), &long, 20.0).is_none());
        assert!(answers.find(&name(0), &short, 14.9).is_some() && answers.find(&name(0), &short, 15.0).is_none());
        answers.end(name(1), None, &long);
        assert!(answers.find(&name(1), &long, 10.0).is_none());
        assert!(answers.turn(&name(QUESTIONS)).is_some());
    }
}
