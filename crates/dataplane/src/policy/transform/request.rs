//! The policy `transform_request`.

use http::Method;
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use serde_json::{json, Value as Json};
use stagedoor_expression::{Template, Value};

use super::content::{self, Change, Wrong};
use super::{describe_changes, failed, names, HeaderChanges, Variables};
use crate::described;
use crate::error::{Error, Kind};
use crate::evaluation::{self, put_parameter};
use crate::exchange::{Exchange, Rewritten};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::protocol::coding::Fault;
use crate::snapshot;
use crate::worker::Worker;

const VARIABLES: [&str; 1] = ["$request"];

pub struct TransformRequest {
    method: Option<Method>,
    path: Option<Template>,
    query: Option<QueryChanges>,
    headers: HeaderChanges,
    change: Option<Change>,
    sees_request: bool,
    description: Json,
}

struct QueryChanges {
    /// Of all that are removed or set.
    names: Vec<Box<str>>,
    set: Vec<(Box<str>, Template)>,
}

impl TransformRequest {
    pub fn new(settings: &snapshot::TransformRequest) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let method = settings.method.as_deref().map(|text| Method::from_bytes(text.as_bytes())).transpose();
        let method = method.map_err(|_| wrong.push("method: it is no method".to_owned())).ok().flatten();
        let path = settings.path.as_deref().map(|text| {
            if !text.starts_with('/') && !text.trim_start().starts_with("${") {
                return Err("it does not begin with '/'".to_owned());
            }
            Template::parse(text, &VARIABLES).map_err(|error| error.to_string())
        });
        let path = path.transpose().map_err(|message| wrong.push(format!("path: {message}"))).ok().flatten();
        let query = QueryChanges::compile(&settings.query, &mut wrong);
        let headers = HeaderChanges::compile(&settings.headers, &VARIABLES, &mut wrong);
        let change = Change::compile(&settings.content, &VARIABLES, &mut wrong);
        match wrong.is_empty() {
            true => Ok(Self {
                method,
                path,
                query,
                headers,
                change,
                sees_request: names("$request", settings),
                description: json!({
                    "method": settings.method, "path": settings.path, "query": describe_changes(&settings.query),
                    "headers": describe_changes(&settings.headers), "content": Change::describe(&settings.content),
                }),
            }),
            false => Err(wrong),
        }
    }

    pub fn describe(&self) -> Json {
        self.description.clone()
    }

    pub fn changes_the_path(&self) -> bool {
        self.path.is_some()
    }

    pub fn sees_request(&self) -> bool {
        self.sees_request
    }

    pub async fn on_request(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
    ) -> Result<(), Error> {
        let request = match self.sees_request {
            true => described::describe(exchange, &head.headers, Value::Null)?,
            false => Value::Null,
        };
        let query = exchange.asked_query().unwrap_or_default();
        // A cache may ask more than once.
        exchange.rewritten = self.apply(worker, request, query, head, body).await?;
        Ok(())
    }

    /// `request` is what expressions see, `query` what is changed; what becomes of the path and the query.
    pub async fn apply(
        &self,
        worker: &Worker,
        request: Value,
        query: &str,
        head: &mut RequestHead,
        body: &mut Body,
    ) -> Result<Option<Box<Rewritten>>, Error> {
        let mut rewritten: Option<Box<Rewritten>> = None;
        let variables = Variables(vec![request]);
        if let Some(change) = self.change.as_ref().filter(|_| !body.is_end_stream()) {
            self.transform(worker, change, head, body, &variables).await?;
        }
        if let Some(path) = &self.path {
            let path = evaluation::path(worker, path, &Value::Null, &variables.0).await;
            let path = path.map_err(|cause| failed("request's path", cause))?;
            rewritten.get_or_insert_default().path = Some(path);
        }
        if let Some(changes) = &self.query {
            let query = changes.apply(worker, query, &variables).await?;
            rewritten.get_or_insert_default().query = Some(query);
        }
        self.headers.apply(worker, &mut head.headers, &variables).await?;
        if let Some(method) = &self.method {
            head.method = method.clone();
        }
        Ok(rewritten)
    }

    async fn transform(
        &self,
        worker: &Worker,
        change: &Change,
        head: &mut RequestHead,
        body: &mut Body,
        variables: &Variables,
    ) -> Result<(), Error> {
        let Some((format, coding)) = content::format(&head.headers) else {
            return match change.refuses_other {
                true => Err(Error::new(
                    Kind::UnsupportedMediaType,
                    "Here the request's content is JSON, a form or XML, plain or in gzip, deflate, br or zstd",
                )),
                false => Ok(()),
            };
        };
        let whole = body.buffer(change.most).await?;
        if whole.is_empty() {
            return Ok(());
        }
        let whole = coding.decode(&whole, change.most).map_err(|fault| match fault {
            Fault::Damaged => {
                Error::new(Kind::InvalidBody, "The request's content is not what its Content-Encoding says")
            }
            Fault::TooLarge => {
                let detail = format!("Here the request's content is at most {} bytes, decoded", change.most);
                Error::new(Kind::BodyTooLarge, detail)
            }
        })?;
        let made =
            change.apply(worker, &head.headers, &whole, format, variables).await.map_err(|wrong| match wrong {
                Wrong::Content(why) => {
                    Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {why}"))
                }
                Wrong::Unwritable(why) => {
                    Error::new(Kind::InvalidBody, format!("The request's content cannot be used: {why}"))
                }
                Wrong::Change(cause) => failed("request's content", cause),
            })?;
        *body = Body::full(made);
        change.rewrite(&mut head.headers, format);
        Ok(())
    }
}

impl QueryChanges {
    fn compile(settings: &snapshot::Changes, wrong: &mut Vec<String>) -> Option<Self> {
        let names = settings.remove.iter().chain(settings.set.keys()).map(|name| name.as_str().into());
        let mut changes = Self { names: names.collect(), set: Vec::new() };
        for (name, text) in &settings.set {
            match Template::parse(text, &VARIABLES) {
                Ok(template) => changes.set.push((name.as_str().into(), template)),
                Err(error) => wrong.push(format!("query: '{name}': {error}")),
            }
        }
        Some(changes).filter(|changes| !changes.names.is_empty())
    }

    /// What is neither removed nor set stays as it is written.
    async fn apply(&self, worker: &Worker, query: &str, variables: &Variables) -> Result<String, Error> {
        let is_named = |pair: &str| {
            let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
            let name = percent_decode_str(&name).decode_utf8_lossy();
            self.names.iter().any(|known| **known == *name)
        };
        let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_named(pair));
        let mut query = kept.collect::<Vec<_>>().join("&");
        for (name, template) in &self.set {
            let values = match variables.evaluate(worker, template, &format!("parameter '{name}'")).await? {
                Value::Null => continue,
                Value::Array(items) => items.iter().map(Value::to_text).collect(),
                value => vec![value.to_text()],
            };
            for value in values {
                if !query.is_empty() {
                    query.push('&');
                }
                put_parameter(&mut query, name, &value);
            }
        }
        Ok(query)
    }
}
