//! What must hold of a request and its consumer, all of it.

use jiff::Timestamp;
use serde_json::{json, Map, Value};

use super::cel::Cel;
use super::window::Window;
use crate::exchange::Exchange;
use crate::network::Networks;
use crate::policy::authenticate::Consumer;
use crate::policy::RequestHead;
use crate::snapshot;

pub struct Conditions {
    scopes: Vec<Box<str>>,
    any_scope: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    consumers: Vec<Box<str>>,
    plans: Vec<Box<str>>,
    networks: Option<(Networks, Vec<String>)>,
    time: Vec<Window>,
    cel: Option<Cel>,
}

/// The first condition that does not hold, by its name in the configuration.
pub struct Unmet {
    pub condition: &'static str,
    /// That of an expression, for the log.
    pub cause: Option<String>,
}

impl Conditions {
    pub fn new(settings: &snapshot::Conditions, errors: &mut Vec<String>) -> Self {
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let networks = match Networks::parse(&settings.networks) {
            Ok(networks) => Some((networks, settings.networks.clone())).filter(|(_, texts)| !texts.is_empty()),
            Err(wrong) => {
                errors.extend(
                    wrong
                        .into_iter()
                        .map(|text| format!("networks: '{text}' is not an address or network such as 10.0.0.0/8")),
                );
                None
            }
        };
        let mut time = Vec::new();
        for window in &settings.time {
            match Window::new(window) {
                Ok(window) => time.push(window),
                Err(wrong) => errors.push(wrong),
            }
        }
        let cel = settings.cel.as_deref().and_then(|source| match Cel::new(source) {
            Ok(cel) => Some(cel),
            Err(wrong) => {
                errors.push(format!("cel: {wrong}"));
                None
            }
        });
        Self {
            scopes: boxed(&settings.scopes),
            any_scope: boxed(&settings.any_scope),
            groups: boxed(&settings.groups),
            consumers: boxed(&settings.consumers),
            plans: boxed(&settings.plans),
            networks,
            time,
            cel,
        }
    }

    /// Whether who calls matters to it.
    pub fn asks_for_a_consumer(&self) -> bool {
        let lists = [&self.scopes, &self.any_scope, &self.groups, &self.consumers, &self.plans];
        lists.iter().any(|list| !list.is_empty()) || self.cel.as_ref().is_some_and(Cel::asks_for_a_consumer)
    }

    pub fn describe(&self) -> Value {
        let mut parts = Map::new();
        let lists = [
            ("scopes", &self.scopes),
            ("any_scope", &self.any_scope),
            ("groups", &self.groups),
            ("consumers", &self.consumers),
            ("plans", &self.plans),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            parts.insert(name.to_owned(), json!(list));
        }
        if let Some((_, texts)) = &self.networks {
            parts.insert("networks".to_owned(), json!(texts));
        }
        if !self.time.is_empty() {
            parts.insert("time".to_owned(), self.time.iter().map(Window::describe).collect());
        }
        if let Some(cel) = &self.cel {
            parts.insert("cel".to_owned(), cel.source().into());
        }
        Value::Object(parts)
    }

    /// What is cheap comes first. An expression that fails is one that does not hold.
    pub fn hold(&self, exchange: &Exchange, head: &RequestHead) -> Result<(), Unmet> {
        let consumer = exchange.consumer.as_deref();
        for (condition, list, has) in self.of_the_consumer() {
            let held = |wanted: &str| consumer.is_some_and(|consumer| has(consumer, wanted));
            let met = match condition {
                "scopes" => list.iter().all(|wanted| held(wanted)),
                _ => list.is_empty() || list.iter().any(|wanted| held(wanted)),
            };
            if !met {
                return Err(Unmet { condition, cause: None });
            }
        }
        if self.networks.as_ref().is_some_and(|(networks, _)| !networks.contains(exchange.client)) {
            return Err(Unmet { condition: "networks", cause: None });
        }
        if !self.time.is_empty() {
            let now = Timestamp::now();
            if !self.time.iter().any(|window| window.contains(now)) {
                return Err(Unmet { condition: "time", cause: None });
            }
        }
        match self.cel.as_ref().map(|cel| cel.holds(exchange, head)) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Unmet { condition: "cel", cause: None }),
            Some(Err(cause)) => Err(Unmet { condition: "cel", cause: Some(cause) }),
        }
    }

    #[allow(clippy::type_complexity)]
    fn of_the_consumer(&self) -> [(&'static str, &[Box<str>], fn(&Consumer, &str) -> bool); 5] {
        let scoped: fn(&Consumer, &str) -> bool = |consumer, wanted| consumer.scopes.iter().any(|own| **own == *wanted);
        [
            ("scopes", &self.scopes, scoped),
            ("any_scope", &self.any_scope, scoped),
            ("groups", &self.groups, |consumer, wanted| consumer.groups.iter().any(|own| **own == *wanted)),
            ("consumers", &self.consumers, |consumer, wanted| {
                // Nobody has proved to be the anonymous consumer.
                !consumer.is_anonymous() && *consumer.name == *wanted
            }),
            ("plans", &self.plans, |consumer, wanted| consumer.plan.as_deref() == Some(wanted)),
        ]
    }
}
