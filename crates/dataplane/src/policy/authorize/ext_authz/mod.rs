//! A decision of a server that speaks Envoy's external authorization, over gRPC or HTTP. It may change the request that it
//! lets pass and say what a client is told instead; without its clear word nobody passes.

mod grpc;
mod http;
mod question;
mod verdict;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ::http::{header, HeaderValue, Method};
use bytes::Bytes;
use serde_json::{json, Value};

use self::grpc::Occasion;
use self::http::Http;
use self::question::{Content, Question, Visible};
pub use self::verdict::Verdict;
use super::decisions::{self, Decisions};
use super::forbidden;
use crate::cluster::call::{self, Call, Outcome};
use crate::cluster::credentials::Caller;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, Flow, RequestHead};
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

/// An authorizer's answer is at most this long; a longer one decides nothing.
const ANSWER: usize = 64 * 1024;

/// Longer answers are used once and not kept, so that all that are kept fit into memory.
const KEPT: usize = 4 * 1024;

pub struct ExtAuthz {
    cluster: String,
    protocol: Protocol,
    timeout: Duration,
    headers: Visible,
    body: Option<snapshot::ExtAuthzBody>,
    decisions: Decisions<Arc<Verdict>>,
}

enum Protocol {
    Grpc { context: BTreeMap<String, String> },
    Http(Http),
}

impl ExtAuthz {
    pub fn new(settings: &snapshot::ExtAuthz, context: &Context<'_>) -> Result<Self, String> {
        let Some(cluster) = context.clusters.get(&settings.cluster) else {
            return Err(format!("there is no cluster '{}'", settings.cluster));
        };
        let visible = |key: &str, names: &[String]| Visible::new(names).map_err(|wrong| format!("{key}: {wrong}"));
        let protocol = match &settings.protocol {
            snapshot::ExtAuthzProtocol::Grpc { context } => {
                if !matches!(cluster.protocol, snapshot::Protocol::H2 | snapshot::Protocol::H2c) {
                    let name = &settings.cluster;
                    return Err(format!(
                        "grpc: the cluster '{name}' has to speak HTTP/2: protocol: h2c, or h2 over TLS"
                    ));
                }
                Protocol::Grpc { context: context.clone() }
            }
            snapshot::ExtAuthzProtocol::Http { path_prefix, upstream_headers, response_headers, client_headers } => {
                Protocol::Http(Http {
                    path_prefix: path_prefix.clone(),
                    upstream: visible("upstream_headers", upstream_headers)?,
                    response: visible("response_headers", response_headers)?,
                    client: visible("client_headers", client_headers)?,
                })
            }
        };
        Ok(Self {
            cluster: settings.cluster.clone(),
            protocol,
            timeout: Duration::from_millis(settings.timeout_ms),
            headers: visible("headers", &settings.headers)?,
            body: settings.body.clone(),
            decisions: Decisions::new(Duration::from_millis(settings.cache_ms)),
        })
    }

    pub fn describe(&self) -> Value {
        let mut description = json!({"cluster": self.cluster, "headers": self.headers.describe()});
        match &self.protocol {
            Protocol::Grpc { context } => description["grpc"] = json!({"context": context}),
            Protocol::Http(http) => description["http"] = http.describe(),
        }
        if let Some(body) = &self.body {
            description["body"] = json!({"max": body.max, "partial": body.partial, "raw": body.raw});
        }
        description
    }

    /// What it would be asked, for people: without the values of headers.
    pub fn explain(&self, exchange: &Exchange, head: &RequestHead) -> Value {
        let question = Question::new(exchange, head, &self.headers, None);
        let (method, path) = match &self.protocol {
            Protocol::Grpc { .. } => ("POST", grpc::PATH.to_owned()),
            Protocol::Http(http) => (head.method.as_str(), http.path(&question)),
        };
        let names: Vec<&str> = question.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut input = question.knowledge();
        input["request"] = json!({
            "method": head.method.as_str(), "host": question.host(), "scheme": exchange.scheme,
            "path": exchange.target.as_str(), "headers": names, "content": self.body.is_some(),
        });
        input["client"] = json!({"address": exchange.client.to_string()});
        json!({"who": "ext_authz", "cluster": self.cluster, "method": method, "path": path, "input": input})
    }

    /// Lets the request pass, changed as the authorizer wants it, or answers in its words.
    pub async fn decide(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: &Rc<Worker>,
    ) -> Result<Flow, Error> {
        let content = match &self.body {
            Some(settings) => Some(Content::read(settings, body).await?),
            None => None,
        };
        let verdict = self.verdict(&Question::new(exchange, head, &self.headers, content), worker).await?;
        match &*verdict {
            Verdict::Passes(changes) => {
                changes.apply(exchange, head)?;
                exchange.granted = Some(verdict);
                Ok(Flow::Continue)
            }
            Verdict::Refused(refusal) => {
                const CAUSE: &str = "authorize: ext_authz refused it";
                let plain = refusal.headers.is_empty() && refusal.body.is_empty();
                if refusal.status == 401 && (plain || exchange.call.is_some()) {
                    let error = Error::new(Kind::Unauthorized, "This is not allowed").cause(CAUSE);
                    let challenges = refusal.headers.iter().filter(|one| one.name == header::WWW_AUTHENTICATE);
                    return Err(challenges.fold(error, |error, one| error.header(one.name.clone(), one.value.clone())));
                }
                if exchange.call.is_some() || (refusal.status == 403 && plain) {
                    return Err(forbidden().cause(CAUSE));
                }
                exchange.error = Some(Kind::Forbidden);
                exchange.cause = Some(CAUSE.to_owned());
                Ok(Flow::Respond(refusal.respond()))
            }
        }
    }

    async fn verdict(&self, question: &Question<'_>, worker: &Rc<Worker>) -> Result<Arc<Verdict>, Error> {
        let mut asked = grpc::check_request(question, self.context(), None);
        if let Protocol::Http(_) = &self.protocol {
            // It is told of the credential too. No message goes on with a zero, and no field holds one.
            for (name, value) in question.exchange.consumer.iter().flat_map(|consumer| consumer.identity.fields()) {
                for part in [&b"\0"[..], name.as_str().as_bytes(), &b"\0"[..], value.as_bytes()] {
                    asked.extend_from_slice(part);
                }
            }
        }
        let key = decisions::key(&asked);
        if let Some(verdict) = self.decisions.find(&key) {
            return Ok(verdict);
        }
        let cluster = worker.program().clusters.get(self.cluster.as_str()).cloned();
        let outcome = call::run_for(self.call(question), cluster, worker, Caller::Without { known: false }).await;
        let undecided = |cause: &dyn std::fmt::Display| {
            Error::new(Kind::AuthorizationUnavailable, "Whether this is allowed cannot be decided now")
                .cause(format!("authorize: ext_authz: {cause}"))
        };
        let (status, headers, body, trailers) = match outcome {
            Outcome::Answered { status, headers, body, trailers } => (status, headers, body, trailers),
            Outcome::Unanswered { error, .. } => return Err(undecided(&error)),
        };
        if body.len() > ANSWER {
            return Err(undecided(&format_args!("its answer is longer than {ANSWER} bytes")));
        }
        let size = body.len() + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        let verdict = match &self.protocol {
            Protocol::Grpc { .. } => grpc::verdict(status, &headers, &body, &trailers),
            Protocol::Http(http) => http.verdict(status, &headers, body),
        };
        let verdict = Arc::new(verdict.map_err(|wrong| undecided(&wrong))?);
        if size <= KEPT && !verdict.sets_a_cookie() {
            self.decisions.keep(key, verdict.clone());
        }
        Ok(verdict)
    }

    fn context(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        match &self.protocol {
            Protocol::Grpc { context } => context,
            Protocol::Http(_) => &NONE,
        }
    }

    fn call(&self, question: &Question<'_>) -> Call {
        let exchange = question.exchange;
        let timeout = self.timeout.min(exchange.deadline.saturating_duration_since(Instant::now()));
        let (method, path, headers, body) = match &self.protocol {
            Protocol::Grpc { context } => {
                let occasion = Occasion {
                    time: SystemTime::now(),
                    id: text(exchange.request_id()),
                    port: exchange.source().map_or(0, |source| source.port()),
                };
                let message = grpc::check_request(question, context, Some(&occasion));
                (Method::POST, grpc::PATH.to_owned(), grpc::headers(timeout), grpc::frame(&message))
            }
            Protocol::Http(http) => {
                let content = question.content.as_ref().map_or_else(Bytes::new, |content| content.bytes.clone());
                (question.head.method.clone(), http.path(question), http.headers(question), content)
            }
        };
        Call { id: 0, cluster: self.cluster.clone(), method, path, headers, body, idempotent: true, timeout }
    }
}

impl Verdict {
    /// For one client, whatever the question was.
    fn sets_a_cookie(&self) -> bool {
        let changes = match self {
            Self::Passes(changes) => &changes.response,
            Self::Refused(refusal) => &refusal.headers,
        };
        changes.iter().any(|change| change.name == header::SET_COOKIE)
    }

    /// On the response to a request that was let pass.
    pub fn on_response(&self, headers: &mut ::http::HeaderMap) {
        if let Self::Passes(changes) = self {
            changes.apply_to_response(headers);
        }
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
