//! One call of an aggregate, as compiled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{json, Value};
use stagedoor_expression::Template;

use super::names::Names;
use super::text::Text;
use crate::cluster::Cluster;
use crate::evaluation::{self, add_parameter};
use crate::identity;
use crate::policy::cache::Cache;
use crate::policy::headers::is_reserved;
use crate::shape::Shape;
use crate::snapshot::{self, AnswerFormat};
use crate::target::Context;
use crate::telemetry::metrics::CallMetrics;

pub struct Call {
    pub name: Arc<str>,
    /// `"name":`
    pub key: Box<[u8]>,
    pub cluster: Arc<Cluster>,
    pub method: Method,
    pub path: Text,
    pub query: Vec<(Box<str>, Text)>,
    /// Path and query where nothing is put into them.
    pub fixed: Option<PathAndQuery>,
    pub headers: Vec<(HeaderName, Header)>,
    pub body: Option<Template>,
    /// Positions of the calls that must have ended before.
    pub after: Vec<usize>,
    /// And of those before them.
    pub before: Vec<usize>,
    pub condition: Option<Template>,
    pub each: Option<Each>,
    pub timeout: Duration,
    pub cache: Option<Cache>,
    pub optional: bool,
    pub default: Option<Bytes>,
    pub format: AnswerFormat,
    pub body_bytes: usize,
    /// jq over the answer.
    pub filter: Option<Template>,
    pub shape: Option<Shape>,
    pub metrics: Arc<CallMetrics>,
    settings: snapshot::AggregateCall,
}

pub enum Header {
    Fixed(HeaderValue),
    Made(Text),
}

pub struct Each {
    pub items: Template,
    pub parallel: usize,
    pub most: usize,
}

impl Call {
    /// What it is made of may be answers of services.
    pub fn sees_answers(&self) -> bool {
        !self.before.is_empty()
    }

    /// Every mistake is added to `wrong` as `option: what`; None then.
    pub fn compile(
        settings: &snapshot::AggregateCall,
        names: &Names<'_>,
        after: Vec<usize>,
        context: &Context<'_>,
        wrong: &mut Vec<String>,
    ) -> Option<Self> {
        let count = wrong.len();
        let mut told = |option: &str, message: String| wrong.push(format!("{option}: {message}"));
        let method = method(settings).map_err(|message| told("method", message)).ok();
        let path = Text::compile_path(&settings.path, names).map_err(|message| told("path", message)).ok();
        let mut query = Vec::new();
        for (name, text) in &settings.query {
            match Text::compile(text, names) {
                Ok(text) => query.push((name.as_str().into(), text)),
                Err(message) => told("query", format!("'{name}': {message}")),
            }
        }
        let mut headers = Vec::new();
        for (name, text) in &settings.headers {
            match header(name, text, names) {
                Ok(header) => headers.push(header),
                Err(message) => told("headers", format!("'{name}': {message}")),
            }
        }
        let mut expression = |option: &str, source: Option<&str>, own: bool| -> Option<Template> {
            let source = source?;
            let checked = if own { names.check_expression(source) } else { Ok(()) };
            checked.and_then(|()| evaluation::compile(source)).map_err(|message| told(option, message)).ok()
        };
        let body = expression("body", settings.body.as_deref(), true);
        let condition = expression("if", settings.condition.as_deref(), true);
        let items = expression("each", settings.each.as_ref().map(|each| each.items.as_str()), true);
        let filter = expression("pick", settings.filter.as_deref(), false);
        let shape = Shape::compile(&settings.shape).map_err(|message| wrong.push(message)).ok();
        let cluster = context.clusters.get(settings.cluster.as_str());
        if cluster.is_none() && !context.snapshot.clusters.contains_key(&settings.cluster) {
            wrong.push(format!("cluster: there is no cluster '{}'", settings.cluster));
        }
        if settings.default.is_some() && !settings.optional && settings.condition.is_none() {
            wrong.push("default: it is never used: the call is neither 'optional' nor under an 'if'".to_owned());
        }
        let (method, path, cluster) = (method?, path?, cluster?);
        if wrong.len() > count {
            return None;
        }
        let cache = cached(settings, &method, cluster, context, wrong);
        if wrong.len() > count {
            return None;
        }
        let cluster = settings.retry.as_ref().map_or_else(|| cluster.clone(), |retry| cluster.with_retry(retry));
        let name: Arc<str> = settings.name.as_str().into();
        Some(Self {
            key: key(&name),
            timeout: settings.timeout_ms.map_or(Duration::MAX, Duration::from_millis).min(cluster.request_timeout()),
            cache,
            metrics: context.shared.metrics.call(context.route, &name),
            fixed: fixed(&path, &query),
            name,
            cluster,
            method,
            path,
            query,
            headers,
            body,
            after,
            before: names.before.to_vec(),
            condition,
            each: items.zip(settings.each.as_ref()).map(|(items, each)| Each {
                items,
                parallel: each.parallel.max(1),
                most: each.most,
            }),
            optional: settings.optional,
            default: settings.default.clone().map(Bytes::from),
            format: settings.format,
            body_bytes: settings.body_bytes,
            filter,
            shape: shape?,
            settings: settings.clone(),
        })
    }

    /// Every text that is made for each request.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let headers = self.headers.iter().filter_map(|(_, header)| match header {
            Header::Made(text) => Some(text),
            Header::Fixed(_) => None,
        });
        [&self.path].into_iter().chain(self.query.iter().map(|(_, text)| text)).chain(headers)
    }

    /// jq decides what it is, so what it depends on is not known.
    pub fn has_jq(&self) -> bool {
        self.texts().any(Text::is_jq) || self.body.is_some() || self.condition.is_some() || self.each.is_some()
    }

    pub fn describe(&self) -> Value {
        let settings = &self.settings;
        json!({
            "call": &*self.name, "cluster": &*self.cluster.name, "method": self.method.as_str(), "path": settings.path,
            "after": settings.after, "if": settings.condition,
            "each": settings.each.as_ref().map(|each| json!({"in": each.items, "parallel": each.parallel, "most": each.most})),
            "timeout_ms": self.timeout.as_millis() as u64, "optional": self.optional,
            "cache": self.cache.as_ref().map(Cache::describe),
        })
    }
}

/// What the call itself says in headers tells its answers apart, and reaches the service.
fn cached(
    settings: &snapshot::AggregateCall,
    method: &Method,
    cluster: &Cluster,
    context: &Context<'_>,
    wrong: &mut Vec<String>,
) -> Option<Cache> {
    let mut own = settings.cache.clone()?;
    if method != Method::GET {
        wrong.push("cache: only answers to GET are kept".to_owned());
    }
    own.vary_by.extend(settings.headers.keys().map(|name| snapshot::CacheKeyPart::Header(name.clone())));
    let route = context.snapshot.routes.get(&**context.route);
    let authenticated = route.is_some_and(|route| route.policies.authenticate.is_some());
    match Cache::new(&own, authenticated, &context.shared.cache) {
        Ok(mut cache) => {
            let id = format!("{}/{}", context.route, settings.name);
            cache.belongs_to_call(&id.into(), settings, cluster.exchanges_tokens());
            Some(cache)
        }
        Err(errors) => {
            wrong.extend(errors.into_iter().map(|error| format!("cache: {error}")));
            None
        }
    }
}

/// `"name":`
pub fn key(name: &str) -> Box<[u8]> {
    let mut key = crate::protocol::json::quote(name);
    key.push(b':');
    key.into()
}

/// RFC 9110 §9.2.1, and QUERY of RFC 10008.
fn method(settings: &snapshot::AggregateCall) -> Result<Method, String> {
    let method = Method::from_bytes(settings.method.as_bytes()).map_err(|_| "it is no method".to_owned())?;
    match method.as_str() {
        "GET" | "QUERY" | "OPTIONS" => Ok(method),
        "HEAD" => Err("an answer to HEAD has no body to take".to_owned()),
        _ if settings.safe => Ok(method),
        name => Err(format!(
            "{name} may change something, and what one call has changed is not undone when another fails: \
             that needs a workflow; where it only reads, declare 'safe: true'"
        )),
    }
}

fn header(name: &str, text: &str, names: &Names<'_>) -> Result<(HeaderName, Header), String> {
    let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "it is not a header's name".to_owned())?;
    if is_reserved(&field) && field != http::header::HOST || identity::is_reserved(field.as_str()) {
        return Err("the gateway sets it itself".to_owned());
    }
    let text = Text::compile(text, names)?;
    let value = text.fixed().map(|text| HeaderValue::from_str(&text).map_err(|_| "its value is none".to_owned()));
    Ok((field, value.transpose()?.map_or(Header::Made(text), Header::Fixed)))
}

fn fixed(path: &Text, query: &[(Box<str>, Text)]) -> Option<PathAndQuery> {
    let mut text = path.fixed()?;
    for (name, value) in query {
        add_parameter(&mut text, name, &value.fixed()?);
    }
    PathAndQuery::try_from(text).ok()
}
