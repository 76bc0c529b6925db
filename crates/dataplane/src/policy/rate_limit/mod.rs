//! How often a caller may come: GCRA, the same as a token bucket that refills steadily.
//!
//! Several rules hold at once, those of the route and then those of the consumer's plan: a request counts against all of
//! them or, when one refuses it, against none.

mod fields;
mod limiter;

use std::sync::Arc;
use std::time::Duration;

use http::{header, HeaderName, HeaderValue};
use serde_json::{json, Value};

pub(crate) use fields::seconds;
pub use fields::RateReport;
pub(crate) use limiter::{Counters, Key, Verdict};
pub use limiter::{Limiter, Rate, MAX_COUNTERS};

use super::plan::Plans;
use super::{Context, RequestHead, ResponseHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::snapshot::{self, RateKey};

pub struct RateLimit {
    /// Of the route.
    rules: Rules,
    /// Of the configuration.
    plans: Arc<Plans>,
}

#[derive(Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The `RateLimit-Policy` field, which no request changes; None without rules.
    policy: Option<HeaderValue>,
}

pub struct Rule {
    /// Identity of the counters across programs.
    pub id: Box<str>,
    pub rate: Rate,
    pub by: By,
    /// The id as it stands in the fields.
    quoted: Box<str>,
    counters: Counters,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Consumer,
    Address,
    Route,
    Header(HeaderName),
}

/// The counter of one rule that a request counts against.
enum Place {
    Shared,
    Keyed(u128),
}

impl Rule {
    fn new(settings: &snapshot::RateLimit, authenticated: bool, limiter: &Limiter) -> Result<Self, String> {
        let by = match &settings.by {
            RateKey::Consumer if !authenticated => {
                return Err("by consumer needs the policy 'authenticate', else nobody is known".to_owned());
            }
            RateKey::Consumer => By::Consumer,
            RateKey::Address => By::Address,
            RateKey::Route => By::Route,
            RateKey::Header(name) => By::Header(
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is not a header name"))?,
            ),
        };
        let quoted = fields::quoted(&settings.id).ok_or("its name holds characters that are not printable ASCII")?;
        Ok(Self {
            rate: Rate::new(settings.limit, settings.per_ms, settings.burst)?,
            by,
            quoted: quoted.into(),
            counters: limiter.counters(&settings.id),
            id: settings.id.as_str().into(),
        })
    }

    /// Whether every rule of that name says the same; notes this one if it is the first.
    fn agrees(&self, context: &Context<'_>) -> bool {
        let mut rules = context.rules.borrow_mut();
        *rules.entry(self.id.clone()).or_insert_with(|| (self.rate, self.by.clone())) == (self.rate, self.by.clone())
    }

    fn place(&self, exchange: &Exchange, head: &RequestHead) -> Place {
        let key = match &self.by {
            By::Route => return Place::Shared,
            // Without a consumer authenticate has let nothing through; one counter for all is the safe answer.
            By::Consumer => match &exchange.consumer {
                // Whoever is nobody is only told apart by where it is.
                Some(consumer) if consumer.is_anonymous() => Key::address(exchange.client),
                Some(consumer) => Key::Consumer(&consumer.name),
                None => return Place::Shared,
            },
            By::Address => Key::address(exchange.client),
            By::Header(name) => Key::Header(head.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()),
        };
        Place::Keyed(self.counters.key(&key))
    }

    fn with<T>(
        &self,
        place: &Place,
        limiter: &Limiter,
        now: u64,
        action: impl FnOnce(&std::sync::atomic::AtomicU64) -> T,
    ) -> T {
        match place {
            Place::Shared => action(&self.counters.shared),
            Place::Keyed(key) => limiter.with(*key, &self.counters.shared, now, action),
        }
    }
}

impl Rules {
    fn new(rules: Vec<Rule>) -> Self {
        Self { policy: (!rules.is_empty()).then(|| fields::policy(&rules)), rules }
    }

    /// Counted for each consumer of the plan, under a name that no rule of a route can have.
    pub fn of_plan(plan: &str, rates: &[snapshot::PlanRate], limiter: &Limiter) -> Result<Self, Vec<String>> {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (index, rate) in rates.iter().enumerate() {
            let snapshot::PlanRate { limit, per_ms, burst } = *rate;
            let id = format!("plan/{plan}/{index}");
            let settings = snapshot::RateLimit { id, limit, per_ms, burst, by: RateKey::Consumer };
            match Rule::new(&settings, true, limiter) {
                Ok(rule) => rules.push(rule),
                Err(message) => errors.push(format!("rate_limit[{index}]: {message}")),
            }
        }
        if errors.is_empty() {
            Ok(Self::new(rules))
        } else {
            Err(errors)
        }
    }

    pub fn describe(&self) -> Value {
        let rules = self.rules.iter().map(|rule| {
            let by = match &rule.by {
                By::Consumer => "consumer".to_owned(),
                By::Address => "address".to_owned(),
                By::Route => "route".to_owned(),
                By::Header(name) => format!("header {name}"),
            };
            let per_ms = rule.rate.per.as_millis() as u64;
            json!({"id": rule.id, "limit": rule.rate.limit, "per_ms": per_ms, "burst": rule.rate.burst, "by": by})
        });
        rules.collect()
    }
}

impl RateLimit {
    pub fn new(rules: &[snapshot::RateLimit], authenticated: bool, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut compiled: Vec<Rule> = Vec::new();
        for settings in rules {
            match Rule::new(settings, authenticated, &context.shared.limiter) {
                Ok(rule) if !rule.agrees(context) => errors.push(format!(
                    "rule '{}': another route has a rule of that name with other settings; they would share counters",
                    settings.id
                )),
                Ok(rule) if compiled.iter().any(|known| known.id == rule.id) => {
                    errors.push(format!("rule '{}': its name is used twice", settings.id));
                }
                Ok(rule) => compiled.push(rule),
                Err(message) => errors.push(format!("rule '{}': {message}", settings.id)),
            }
        }
        match errors.is_empty() {
            true => Ok(Self { rules: Rules::new(compiled), plans: context.plans.clone() }),
            false => Err(errors),
        }
    }

    /// None where only plans count.
    pub fn describe(&self) -> Option<Value> {
        (!self.rules.rules.is_empty()).then(|| self.rules.describe())
    }

    /// What a request would count against, for people; nothing is counted. None: against nothing.
    pub fn explain(&self, exchange: &Exchange) -> Option<Value> {
        let plan = exchange.consumer.as_ref().and_then(|consumer| consumer.plan.clone());
        let plan = plan.and_then(|name| self.plans.get(&name)).map(|plan| plan.rates.describe());
        let described = [Some(self.rules.describe()), plan].into_iter().flatten();
        let limits: Vec<Value> = described.flat_map(|rules| rules.as_array().cloned().unwrap_or_default()).collect();
        (!limits.is_empty()).then(|| {
            json!({"decision": "open", "why": "how often it came is counted by a running gateway", "limits": limits})
        })
    }

    /// Takes from every rule, or from none and refuses with 429. A consumer whose plan is gone is not served: nobody has
    /// said how much it may use.
    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead, shared: &Shared) -> Result<(), Error> {
        let Some(name) = exchange.consumer.as_ref().and_then(|consumer| consumer.plan.clone()) else {
            return self.count(exchange, head, &shared.limiter, None);
        };
        let plan = self.plans.get(&name).cloned().or_else(|| shared.registry.load().plans.get(&name).cloned());
        let plan = plan.ok_or_else(|| {
            Error::new(Kind::Internal, "The consumer's plan is not known").cause(format!("there is no plan '{name}'"))
        })?;
        self.count(exchange, head, &shared.limiter, Some(&plan.rates))
    }

    fn count(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        limiter: &Limiter,
        plan: Option<&Rules>,
    ) -> Result<(), Error> {
        let now = limiter.now(exchange.received);
        let mut field = Vec::new();
        let mut refused: Option<Duration> = None;
        let mut see = |rule: &Rule, verdict: Verdict| {
            fields::push(&mut field, rule, verdict);
            if let Verdict::Refused { retry_after } = verdict {
                refused = Some(refused.map_or(retry_after, |longest| longest.max(retry_after)));
            }
        };
        match (&*self.rules.rules, plan.map_or(&[][..], |plan| &plan.rules)) {
            ([], []) => return Ok(()),
            // Most often: one look-up, nothing to hold together.
            ([rule], []) | ([], [rule]) => {
                let place = rule.place(exchange, head);
                see(rule, rule.with(&place, limiter, now, |counter| rule.rate.take(counter, now)));
            }
            (route, plan) => {
                let rules: Vec<&Rule> = route.iter().chain(plan).collect();
                let places: Vec<Place> = rules.iter().map(|rule| rule.place(exchange, head)).collect();
                let verdicts = take_all(&rules, &places, limiter, now);
                rules.iter().zip(verdicts).for_each(|(rule, verdict)| see(rule, verdict));
            }
        }
        // Digits, quoted ASCII: always a valid value.
        let field = HeaderValue::from_maybe_shared(bytes::Bytes::from(field)).unwrap_or(HeaderValue::from_static(""));
        let plan = plan.and_then(|plan| plan.policy.clone());
        exchange.rate = Some(RateReport { field, plan, refused: refused.is_some() });
        match refused {
            None => Ok(()),
            Some(retry_after) => Err(Error::new(Kind::RateLimited, "The allowance is used up; try again later")
                .header(header::RETRY_AFTER, fields::seconds(retry_after).max(1).into())),
        }
    }

    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead) {
        if let Some(report) = &exchange.rate {
            head.headers.remove(fields::RATELIMIT_POLICY);
            for policy in self.rules.policy.iter().chain(&report.plan) {
                head.headers.append(fields::RATELIMIT_POLICY, policy.clone());
            }
            head.headers.insert(fields::RATELIMIT, report.field.clone());
        }
    }
}

/// Looks at all and only then takes from all. A request that loses a race in between gives back what it took, so no
/// rule ever lets more through than it allows.
fn take_all(rules: &[&Rule], places: &[Place], limiter: &Limiter, now: u64) -> Vec<Verdict> {
    let all = || rules.iter().zip(places);
    let is_refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused { .. });
    let look = || -> Vec<Verdict> {
        all().map(|(rule, place)| rule.with(place, limiter, now, |counter| rule.rate.peek(counter, now))).collect()
    };
    let seen = look();
    let untaken =
        |verdicts: Vec<Verdict>| rules.iter().zip(verdicts).map(|(rule, verdict)| rule.rate.untaken(verdict)).collect();
    if seen.iter().any(is_refused) {
        return untaken(seen);
    }
    let mut taken = Vec::with_capacity(rules.len());
    for (rule, place) in all() {
        let verdict = rule.with(place, limiter, now, |counter| rule.rate.take(counter, now));
        taken.push(verdict);
        if is_refused(&verdict) {
            for (rule, place) in all().take(taken.len() - 1) {
                rule.with(place, limiter, now, |counter| rule.rate.give_back(counter));
            }
            // The rules after this one were not asked.
            taken.extend(seen.into_iter().skip(taken.len()));
            return untaken(taken);
        }
    }
    taken
}
