//! Requests of GraphQL on their way to a service: which documents, how large, whose introspection, by which rules of HTTP.
//! Answers pass as they are.

mod answer;
mod asked;
mod bounds;
mod known;
mod preflight;
mod remembered;
pub(super) mod rules;
mod seen;
mod trusted;

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use http_body::Body as _;
use serde_json::{json, Value};

use super::transform::content::rewrite;
use super::validate::media;
use super::{Context, RequestHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::graphql::document::Kind as Operation;
use crate::protocol::body::Body;
use crate::snapshot::{self, OperationKind};

use asked::{Asked, Written};
use known::Known;
use remembered::Remembered;
use rules::Rules;
pub use seen::Seen;
use trusted::Trusted;

pub struct Graphql {
    rules: Rules,
    trusted: Trusted,
    automatic: bool,
    operations: Vec<Operation>,
    introspection: snapshot::AllowedCallers,
    batch: usize,
    body_bytes: usize,
    unread: Vec<String>,
    csrf_headers: Vec<HeaderName>,
    websocket: bool,
    remembered: Remembered,
    metrics: seen::Counters,
    description: Value,
}

/// An operation that may pass.
struct Passing {
    known: Arc<Known>,
    operation: usize,
    /// The client sent an id in place of the text.
    filled: bool,
    name: Option<Box<str>>,
}

impl Graphql {
    pub fn new(settings: &snapshot::Graphql, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let header =
            |name: &String| HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no header"));
        let csrf_headers = settings.csrf_headers.iter().map(header).collect::<Result<Vec<_>, _>>();
        let csrf_headers = csrf_headers.map_err(|message| wrong.push(format!("csrf_headers: {message}")));
        let rules = Rules::new(settings, context).map_err(|messages| wrong.extend(messages));
        let (Ok(csrf_headers), Ok(rules)) = (csrf_headers, rules) else { return Err(wrong) };
        let trusted = match &settings.trusted {
            Some(trusted) => Trusted::new(trusted, &rules, context)?,
            None => Trusted::default(),
        };
        let mut description = Rules::describe(settings);
        description["documents"] = settings
            .trusted
            .as_ref()
            .map_or(Value::Null, |trusted| json!({"files": trusted.files, "only": trusted.only}));
        for (name, value) in [
            ("automatic", json!(settings.automatic)),
            ("operations", settings.operations.iter().map(|kind| kind_of(*kind).as_str()).collect()),
            ("introspection", describe_callers(&settings.introspection)),
            ("batch", json!(settings.batch)),
            ("body_bytes", json!(settings.body_bytes)),
            ("unread", json!(settings.unread)),
            ("csrf_headers", json!(settings.csrf_headers)),
            ("websocket", json!(settings.websocket)),
        ] {
            description[name] = value;
        }
        Ok(Self {
            rules,
            trusted,
            automatic: settings.automatic,
            operations: settings.operations.iter().map(|kind| kind_of(*kind)).collect(),
            introspection: settings.introspection.clone(),
            batch: settings.batch,
            body_bytes: settings.body_bytes,
            unread: settings.unread.clone(),
            csrf_headers,
            websocket: settings.websocket,
            remembered: Remembered::default(),
            metrics: seen::Counters::default(),
            description,
        })
    }

    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    /// The route whose policy it is.
    pub fn belongs_to(&mut self, route: &Arc<str>, metrics: &crate::telemetry::metrics::Metrics) {
        self.metrics = seen::Counters::new(route, self.trusted.names(), metrics);
    }

    pub async fn on_request(
        &self,
        worker: usize,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
    ) -> Result<(), Error> {
        if self.on_head(exchange, head)? {
            return Ok(());
        }
        match head.method == Method::POST {
            true => self.on_post(exchange, head, body, worker).await,
            false => self.on_get(exchange, body, worker),
        }
    }

    /// True where nothing more is looked at.
    pub fn on_head(&self, exchange: &mut Exchange, head: &RequestHead) -> Result<bool, Error> {
        if exchange.wish.is_some() {
            return match self.websocket {
                true => Ok(true),
                false => Err(Error::new(Kind::OperationNotAllowed, "Here GraphQL is not spoken over WebSockets")),
            };
        }
        let format = answer::format(&head.headers);
        exchange.graphql = Some(Box::new(Seen::new(format.unwrap_or(answer::Format::Problem))));
        if !matches!(head.method, Method::GET | Method::HEAD | Method::POST) {
            return Err(not_allowed(&head.method, "GET, POST"));
        }
        if format.is_none() {
            let detail = "A service of GraphQL answers with application/graphql-response+json or application/json";
            return Err(Error::new(Kind::NotAcceptable, detail));
        }
        preflight::check(&self.csrf_headers, exchange, head)?;
        Ok(false)
    }

    fn on_get(&self, exchange: &mut Exchange, body: &Body, worker: usize) -> Result<(), Error> {
        if !body.is_end_stream() {
            return Err(Error::new(Kind::BadRequest, "A GET has no content here"));
        }
        let before = exchange.query().unwrap_or_default().to_owned();
        let asked = [asked::of_query(&before)?];
        let passing = self.pass(exchange, &asked, true, worker)?;
        let written = written(&asked, &passing);
        if written.iter().any(|one| one.filled || one.asked.more) {
            let target = format!("{}?{}", exchange.path(), asked::query(&before, &written[0]));
            exchange.target = PathAndQuery::try_from(target)
                .map_err(|_| Error::new(Kind::UriTooLong, "The document is too long for a GET"))?;
        }
        Ok(())
    }

    async fn on_post(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: usize,
    ) -> Result<(), Error> {
        let declared = media::declared(&head.headers).unwrap_or_default();
        if self.unread.contains(&declared) {
            return Ok(());
        }
        if declared != "application/json" || !is_utf8(head) || media::is_coded(&head.headers) {
            let detail = "Here GraphQL is sent as application/json in UTF-8, without a content coding";
            let accept = (HeaderName::from_static("accept-post"), HeaderValue::from_static("application/json"));
            return Err(Error::new(Kind::UnsupportedMediaType, detail).header(accept.0, accept.1));
        }
        asked::refuse_in_query(exchange.query().unwrap_or_default())?;
        let content = body.buffer(self.body_bytes).await?;
        let (asked, list) = asked::of_content(&content, self.batch)?;
        let passing = self.pass(exchange, &asked, false, worker)?;
        let written = written(&asked, &passing);
        if written.iter().any(|one| one.filled || one.asked.more) {
            *body = Body::full(asked::content(&content, &written, list)?);
            rewrite(&mut head.headers);
        }
        Ok(())
    }

    /// Whether all of them may pass.
    fn pass(&self, exchange: &mut Exchange, asked: &[Asked], get: bool, worker: usize) -> Result<Vec<Passing>, Error> {
        let mut cost: u64 = 0;
        let mut passing = Vec::with_capacity(asked.len());
        for one in asked {
            let pass = self.resolve(one)?;
            let operation = &pass.known.document.operations[pass.operation];
            if let Some(seen) = &mut exchange.graphql {
                seen.note(operation.kind, operation.name.as_deref());
            }
            // Also one over server-sent events: no page of another site may open it.
            if get && operation.kind == Operation::Mutation {
                return Err(not_allowed(&Method::GET, "POST"));
            }
            if !self.operations.contains(&operation.kind) {
                let detail = format!("A {} is not allowed here", operation.kind.as_str());
                return Err(Error::new(Kind::OperationNotAllowed, detail));
            }
            if pass.known.measure.introspection && !may(&self.introspection, exchange) {
                return Err(Error::new(Kind::OperationNotAllowed, "Introspection is not allowed here"));
            }
            cost = cost.saturating_add(pass.known.cost(&self.rules, pass.operation, &one.variables));
            passing.push(pass);
        }
        if let Some(seen) = &mut exchange.graphql {
            seen.cost = Some(cost);
        }
        self.rules.bounds.check_cost(cost)?;
        for pass in &passing {
            let operation = &pass.known.document.operations[pass.operation];
            self.metrics.count(worker, operation.kind, operation.name.as_deref());
        }
        Ok(passing)
    }

    fn resolve(&self, asked: &Asked) -> Result<Passing, Error> {
        let (known, filled, meant) = match &asked.query {
            Some(text) => (self.by_text(asked, text)?, false, None),
            None => {
                let entry = self.by_id(asked)?;
                (entry.known, true, entry.operation)
            }
        };
        let name = asked.operation.as_deref().map(Box::from).or(meant);
        let operation = known
            .document
            .operation(name.as_deref())
            .map_err(|detail| Error::new(Kind::OperationResolutionFailure, detail))?;
        Ok(Passing { known, operation, filled, name })
    }

    fn by_text(&self, asked: &Asked, text: &str) -> Result<Arc<Known>, Error> {
        let name = remembered::name(text);
        if asked.hash().is_some_and(|hash| hash != remembered::written(&name)) {
            return Err(Error::new(Kind::BadRequest, "The document is another than its hash says"));
        }
        if let Some(known) = self.trusted.by_text(text, self.rules.bounds.tokens) {
            return Ok(known.clone());
        }
        if self.trusted.only {
            return Err(Error::new(Kind::OperationNotAllowed, "Here only known documents are executed"));
        }
        if let Some(known) = self.remembered.find(&name) {
            return Ok(known);
        }
        let known = Arc::new(Known::new(text, &self.rules)?);
        self.remembered.keep(name, known.clone());
        Ok(known)
    }

    fn by_id(&self, asked: &Asked) -> Result<trusted::Entry, Error> {
        let hash = asked.hash();
        let id = asked.id.as_deref().or(hash.as_deref()).or(asked.operation.as_deref());
        let id = id.ok_or_else(|| Error::new(Kind::BadRequest, "The request has no query"))?;
        if let Some(entry) = self.trusted.by_id(id) {
            return Ok(entry.clone());
        }
        if hash.is_none() && asked.id.is_none() {
            return Err(Error::new(Kind::BadRequest, "The request has no query"));
        }
        let name = hash.filter(|_| self.automatic).and_then(|hash| remembered::read(&hash));
        let known = name.and_then(|name| self.remembered.find(&name));
        match known {
            Some(known) => Ok(trusted::Entry { known, operation: None }),
            // The words that clients look for before they send the whole document.
            None if self.automatic || !self.trusted.is_empty() => {
                Err(Error::new(Kind::PersistedQueryNotFound, "PersistedQueryNotFound"))
            }
            None => Err(Error::new(Kind::PersistedQueryNotSupported, "PersistedQueryNotSupported")),
        }
    }
}

fn written<'a>(asked: &'a [Asked], passing: &'a [Passing]) -> Vec<Written<'a>> {
    let both = asked.iter().zip(passing);
    both.map(|(asked, passing)| Written {
        asked,
        text: if passing.filled { &passing.known.text } else { asked.query.as_deref().unwrap_or_default() },
        operation: passing.name.as_deref(),
        filled: passing.filled,
    })
    .collect()
}

fn may(allowed: &snapshot::AllowedCallers, exchange: &Exchange) -> bool {
    let Some(consumer) = exchange.consumer.as_deref() else { return allowed.all };
    let named = exchange.caller().is_some_and(|caller| allowed.consumers.iter().any(|name| name == caller));
    allowed.all || named || consumer.groups.iter().any(|group| allowed.groups.iter().any(|name| **name == **group))
}

fn describe_callers(allowed: &snapshot::AllowedCallers) -> Value {
    match (allowed.all, allowed.consumers.is_empty() && allowed.groups.is_empty()) {
        (true, _) => json!("all"),
        (false, true) => json!("off"),
        (false, false) => json!({"consumers": allowed.consumers, "groups": allowed.groups}),
    }
}

fn kind_of(kind: OperationKind) -> Operation {
    match kind {
        OperationKind::Query => Operation::Query,
        OperationKind::Mutation => Operation::Mutation,
        OperationKind::Subscription => Operation::Subscription,
    }
}

fn not_allowed(method: &Method, allow: &'static str) -> Error {
    let detail = match allow {
        "POST" => "A mutation is sent by POST".to_owned(),
        _ => format!("{method} is not allowed here"),
    };
    Error::new(Kind::MethodNotAllowed, detail).header(ALLOW, HeaderValue::from_static(allow))
}

/// RFC 8259 §8.1; some clients say so.
fn is_utf8(head: &RequestHead) -> bool {
    let mut values = head.headers.get_all(CONTENT_TYPE).iter();
    let text = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    let charset = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
    values.next().is_none() && charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"))
}
