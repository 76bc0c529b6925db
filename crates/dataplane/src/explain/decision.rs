//! What the policies of a route would decide about a request, in their order, up to the first that answers it. Nobody else
//! is asked: what others would be asked is told.

use serde_json::{json, Value};

use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::authenticate::explain::Outcome;
use crate::policy::{Name, Policies, RequestHead, ORDER};
use crate::shared::Shared;

/// Adds `decisions` and, where somebody is known, `consumer` to what is told. A decision `passes`, is `open`, or is
/// `answered` or `refused` with a `status`, after which nobody is asked any more.
pub fn decide(policies: &Policies, exchange: &mut Exchange, head: &mut RequestHead, told: &mut Value) {
    let shared = Shared::new(1);
    let mut decisions = Vec::new();
    for name in ORDER {
        let Some(mut decision) = decision(name, policies, exchange, head, &shared) else { continue };
        decision["policy"] = name.as_str().into();
        let is_last = decision.get("status").is_some();
        decisions.push(decision);
        if is_last {
            break;
        }
    }
    if let Some(consumer) = &exchange.consumer {
        told["consumer"] = json!({
            "name": &*consumer.name, "groups": consumer.groups, "scopes": consumer.scopes,
            "plan": consumer.plan.as_deref(), "scheme": consumer.scheme,
            "credential": consumer.credential.as_ref().map(|credential| &*credential.id),
        });
    }
    told["decisions"] = decisions.into();
}

/// None: the policy is off, or decides nothing about requests.
fn decision(
    name: Name,
    policies: &Policies,
    exchange: &mut Exchange,
    head: &mut RequestHead,
    shared: &Shared,
) -> Option<Value> {
    match name {
        Name::Limits => policies.limits.as_ref().map(|policy| match policy.on_request(exchange, head) {
            Ok(()) => passes(&format!("at most {} bytes of content", policy.body_bytes)),
            Err(error) => refused(&error),
        }),
        Name::Cors => policies.cors.as_ref().map(|policy| policy.explain(head)),
        Name::Authenticate => policies.authenticate.as_ref().map(|policy| {
            let (outcome, schemes) = policy.explain(exchange, head, shared);
            let mut decision = match outcome {
                Outcome::Known(consumer) => passes(&format!("the consumer is '{}'", consumer.name)),
                Outcome::Open(why) => open(&why),
                Outcome::Refused(error) => refused(&error),
            };
            decision["schemes"] = schemes.into();
            decision
        }),
        Name::Version => policies.version.as_ref().map(|policy| policy.explain(exchange, head, shared)),
        Name::Csrf => policies.csrf.as_ref().map(|policy| match policy.on_request(exchange, head) {
            Ok(()) => passes("it changes nothing, or does not come from another site's page"),
            Err(error) => refused(&error),
        }),
        Name::Authorize => {
            let policy = policies.authorize.as_ref()?;
            // Nobody knows who calls, so nobody can say what holds.
            let unknown = policies.authenticate.is_some() && exchange.consumer.is_none();
            Some(if unknown {
                open("who calls is open")
            } else {
                policy.explain(exchange, head, policies.authenticate.as_ref())
            })
        }
        Name::RateLimit => policies.rate_limit.as_ref().and_then(|policy| policy.explain(exchange)),
        Name::Validate => policies.validate.as_ref().map(|_| open("its content and parameters are not looked at here")),
        Name::Graphql => policies.graphql.as_ref().map(|policy| match policy.on_head(exchange, head) {
            Ok(true) => passes("WebSockets are let through, unread"),
            Ok(false) => open("its document is not looked at here"),
            Err(error) => refused(&error),
        }),
        Name::Cache => policies.cache.as_ref().map(|policy| policy.explain(exchange, head)),
        Name::TransformRequest => policies
            .transform_request
            .as_ref()
            .map(|_| open("its content, which may be refused, is not looked at here")),
        Name::Translate => policies.translate.as_ref().map(|policy| policy.explain(exchange)),
        Name::TransformResponse
        | Name::RequestId
        | Name::AccessLog
        | Name::GrpcWeb
        | Name::Upgrade
        | Name::Compress
        | Name::Hsts
        | Name::SecurityHeaders
        | Name::Headers => None,
    }
}

pub(crate) fn passes(why: &str) -> Value {
    json!({"decision": "passes", "why": why})
}

pub(crate) fn open(why: &str) -> Value {
    json!({"decision": "open", "why": why})
}

/// Why is what the log would say, which is more than the client learns.
pub(crate) fn refused(error: &Error) -> Value {
    let why = error.cause.as_deref().unwrap_or(&error.detail);
    json!({"decision": "refused", "status": error.status.unwrap_or(error.kind.status()), "why": why})
}
