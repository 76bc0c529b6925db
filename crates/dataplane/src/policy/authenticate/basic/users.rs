//! The users of the configuration, or of the registry, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::password::Password;
use crate::policy::authenticate::consumer::Facts;
use crate::policy::authenticate::credential::{Credential, LastUsed, Restrictions};
use crate::policy::authenticate::Consumer;
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot;

#[derive(Default)]
pub struct Users {
    by_name: FxHashMap<Box<str>, Arc<User>>,
    pub(super) passwords: Vec<Arc<Password>>,
}

pub struct User {
    pub consumer: Arc<Consumer>,
    pub password: Arc<Password>,
}

impl Users {
    /// Those of the configuration. One name for two users is an error, since it would be a matter of chance who calls.
    pub fn new(consumers: &BTreeMap<String, snapshot::Consumer>, shared: &Shared, report: &mut Report) -> Self {
        let mut users = Self::default();
        for (name, consumer) in consumers {
            for (index, user) in consumer.basic.iter().enumerate() {
                let added = users.add(name, &consumer.facts(&consumer.scopes, "basic"), user, &shared.last_used);
                let errors = added.err().into_iter().flatten();
                errors.for_each(|wrong| report.error(format!("consumer '{name}': basic[{index}]: {wrong}")));
            }
        }
        users
    }

    /// The mistakes are sentences without their place; no hash is in them.
    pub fn add(
        &mut self,
        name: &str,
        facts: &Facts<'_>,
        settings: &snapshot::User,
        last_used: &LastUsed,
    ) -> Result<(), Vec<String>> {
        if settings.username.contains(|char: char| char == ':' || char.is_control()) {
            return Err(vec!["the username holds a colon or a control character".to_owned()]);
        }
        let password = Arc::new(Password::new(settings.phc.reveal()).map_err(|wrong| vec![wrong])?);
        let credential = Credential::new(&settings.id, &Restrictions::default(), last_used)?;
        let consumer = Arc::new(Consumer::proved(name, facts, Some(Arc::new(credential))));
        let user = Arc::new(User { consumer, password: password.clone() });
        match self.by_name.insert(settings.username.as_str().into(), user) {
            None => {
                self.passwords.push(password);
                Ok(())
            }
            Some(_) => Err(vec![format!("another user has the name '{}'", settings.username)]),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<User>> {
        self.by_name.get(name)
    }
}
