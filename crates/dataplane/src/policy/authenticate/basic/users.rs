//! The users of the configuration, or of the registry, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::password::Password;
use crate::policy::authenticate::credential::{Credential, Restrictions};
use crate::policy::authenticate::Consumer;
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot;

/// Of one name: the one that it has, and for a while the one before it.
const PASSWORDS: usize = 2;

#[derive(Default)]
pub struct Users {
    by_name: FxHashMap<Box<str>, usize>,
    /// Those of one name are of one consumer.
    named: Vec<Vec<User>>,
}

/// One password of a name.
pub struct User {
    pub consumer: Arc<Consumer>,
    pub password: Arc<Password>,
}

impl Users {
    /// Those of the configuration.
    pub fn new(consumers: &BTreeMap<String, snapshot::Consumer>, shared: &Shared, report: &mut Report) -> Self {
        let mut users = Self::default();
        for (name, settings) in consumers {
            for (index, user) in settings.basic.iter().enumerate() {
                let mut wrong = |wrong: String| report.error(format!("consumer '{name}': basic[{index}]: {wrong}"));
                match Credential::new(&user.id, &Restrictions::default(), &shared.last_used) {
                    Ok(credential) => {
                        let facts = settings.facts(&settings.scopes, "basic");
                        let consumer = Arc::new(Consumer::proved(name, &facts, Some(Arc::new(credential))));
                        users.add(consumer, &user.username, &user.phc).unwrap_or_else(wrong);
                    }
                    Err(mistakes) => mistakes.into_iter().for_each(&mut wrong),
                }
            }
        }
        users
    }

    /// The mistake is a sentence without its place; no hash is in it. One name for two consumers is one, since it would be
    /// a matter of chance who calls.
    pub fn add(&mut self, consumer: Arc<Consumer>, name: &str, phc: &snapshot::Secret) -> Result<(), String> {
        if name.contains(|char: char| char == ':' || char.is_control()) {
            return Err("the username holds a colon or a control character".to_owned());
        }
        let user = User { consumer, password: Arc::new(Password::new(phc.reveal())?) };
        let Some(place) = self.by_name.get(name) else {
            self.by_name.insert(name.into(), self.named.len());
            self.named.push(vec![user]);
            return Ok(());
        };
        let others = &mut self.named[*place];
        if others.iter().any(|other| other.consumer.name != user.consumer.name) {
            return Err(format!("another user has the name '{name}'"));
        }
        if others.len() >= PASSWORDS {
            return Err(format!("the name '{name}' has more than {PASSWORDS} passwords"));
        }
        others.push(user);
        Ok(())
    }

    /// Empty where nobody has that name.
    pub fn get(&self, name: &str) -> &[User] {
        self.by_name.get(name).map_or(&[], |place| &self.named[*place])
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.named.len()
    }

    /// The passwords of one of the names.
    pub(super) fn passwords(&self, place: usize) -> Option<Vec<Arc<Password>>> {
        self.named.get(place).map(|users| users.iter().map(|user| user.password.clone()).collect())
    }
}
