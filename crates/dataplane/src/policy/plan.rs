//! What a consumer may use, whichever route it calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{json, Value};

use super::rate_limit::{Limiter, Rules};
use crate::snapshot;

#[derive(Default)]
pub struct Plans(FxHashMap<Box<str>, Arc<Plan>>);

pub struct Plan {
    /// Counted for each of its consumers.
    pub rates: Rules,
}

impl Plans {
    /// Everything that is wrong goes to `errors`.
    pub fn new(settings: &BTreeMap<String, snapshot::Plan>, limiter: &Limiter, errors: &mut Vec<String>) -> Self {
        let mut plans = FxHashMap::default();
        for (name, plan) in settings {
            match Rules::of_plan(name, &plan.rate_limit, limiter) {
                Ok(rates) => {
                    plans.insert(name.as_str().into(), Arc::new(Plan { rates }));
                }
                Err(wrong) => errors.extend(wrong.into_iter().map(|wrong| format!("plan '{name}': {wrong}"))),
            }
        }
        Self(plans)
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Plan>> {
        self.0.get(name)
    }

    pub fn describe(&self) -> Value {
        let plans: BTreeMap<&str, Value> = self.0.iter().map(|(name, plan)| (&**name, plan.rates.describe())).collect();
        json!(plans)
    }
}
