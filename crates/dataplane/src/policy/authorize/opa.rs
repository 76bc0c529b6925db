//! A decision of Open Policy Agent, by its REST API: the input in, `{"result": …}` back. True, or an object whose
//! `allow` is true, lets the request pass; everything else, an undefined decision too, does not.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{json, Map, Value};

use super::decisions::{self, Decisions};
use super::forbidden;
use crate::cluster::call::{self, Call, Outcome};
use crate::cluster::credentials::Caller;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::snapshot;
use crate::worker::Worker;

pub struct Opa {
    cluster: String,
    path: String,
    timeout: Duration,
    headers: Vec<HeaderName>,
    decisions: Decisions<bool>,
}

impl Opa {
    pub fn new(settings: &snapshot::Opa, context: &Context<'_>) -> Result<Self, String> {
        if !context.clusters.contains_key(&settings.cluster) {
            return Err(format!("there is no cluster '{}'", settings.cluster));
        }
        let headers = settings.headers.iter().map(|name| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("headers: '{name}' is not a header name"))
        });
        Ok(Self {
            cluster: settings.cluster.clone(),
            path: settings.path.clone(),
            timeout: Duration::from_millis(settings.timeout_ms),
            headers: headers.collect::<Result<_, _>>()?,
            decisions: Decisions::new(Duration::from_millis(settings.cache_ms)),
        })
    }

    pub fn describe(&self) -> Value {
        json!({"cluster": self.cluster, "path": self.path})
    }

    /// What it would be asked, for people: without the values of headers.
    pub fn explain(&self, exchange: &Exchange, head: &RequestHead) -> Value {
        let mut input = self.input(exchange, head);
        for (_, value) in input["request"]["headers"].as_object_mut().into_iter().flatten() {
            *value = "[not shown]".into();
        }
        json!({"who": "opa", "cluster": self.cluster, "method": "POST", "path": self.path, "input": input})
    }

    pub async fn decide(&self, exchange: &Exchange, head: &RequestHead, worker: &Rc<Worker>) -> Result<(), Error> {
        let body = Bytes::from(json!({"input": self.input(exchange, head)}).to_string());
        let key = decisions::key(&body);
        let passes = match self.decisions.find(&key) {
            Some(passes) => passes,
            None => {
                let passes = self.ask(body, exchange, worker).await?;
                self.decisions.keep(key, passes);
                passes
            }
        };
        answer(passes, "authorize: opa refused it")
    }

    async fn ask(&self, body: Bytes, exchange: &Exchange, worker: &Rc<Worker>) -> Result<bool, Error> {
        let json = HeaderValue::from_static("application/json");
        let call = Call {
            id: 0,
            cluster: self.cluster.clone(),
            method: Method::POST,
            path: self.path.clone(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json)]),
            body,
            idempotent: true,
            timeout: self.timeout.min(exchange.deadline.saturating_duration_since(Instant::now())),
        };
        let cluster: Option<Arc<_>> = worker.program().clusters.get(self.cluster.as_str()).cloned();
        let undecided = |cause: String| {
            Error::new(Kind::AuthorizationUnavailable, "Whether this is allowed cannot be decided now")
                .cause(format!("authorize: opa: {cause}"))
        };
        match call::run_for(call, cluster, worker, Caller::Without { known: false }).await {
            Outcome::Answered { status: StatusCode::OK, body, .. } => {
                let answer: Value = serde_json::from_slice(&body)
                    .map_err(|error| undecided(format!("its answer is not JSON: {error}")))?;
                let result = answer.get("result");
                Ok(result
                    .is_some_and(|result| result == true || result.get("allow").is_some_and(|allow| allow == true)))
            }
            Outcome::Answered { status, .. } => Err(undecided(format!("it answered {status}"))),
            Outcome::Unanswered { error, .. } => Err(undecided(error.to_string())),
        }
    }

    /// What a decision may depend on. Credentials are not in it.
    fn input(&self, exchange: &Exchange, head: &RequestHead) -> Value {
        let mut headers = Map::new();
        for name in &self.headers {
            let values: Vec<_> = head.headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect();
            if !values.is_empty() {
                headers.insert(name.to_string(), values.into());
            }
        }
        let path: Vec<&str> = exchange.path().split('/').skip(1).collect();
        let consumer = exchange.consumer.as_deref().map(|consumer| {
            json!({
                "name": &*consumer.name, "groups": consumer.groups, "scopes": consumer.scopes,
                "plan": consumer.plan.as_deref(), "scheme": consumer.scheme, "claims": consumer.claims,
            })
        });
        json!({
            "request": {
                "method": head.method.as_str(), "host": text(exchange.host.as_bytes()), "scheme": exchange.scheme,
                "path": path, "query": exchange.query(), "headers": headers,
            },
            "route": exchange.route.as_ref().map(|route| &*route.id),
            "client": {"address": exchange.client.to_string()},
            "consumer": consumer,
        })
    }
}

fn answer(passes: bool, cause: &str) -> Result<(), Error> {
    match passes {
        true => Ok(()),
        false => Err(forbidden().cause(cause)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
