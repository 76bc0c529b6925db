//! Clients speak HTTP, the service GraphQL: a stored operation, its variables from the request, its data as the answer.

mod answer;
mod variables;

use std::rc::Rc;
use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    RANGE,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{json, Value};

pub use answer::Back;
use answer::Rules;
use variables::Variables;

use super::Step;
use crate::error::Error;
use crate::evaluation::{compile_with, put_parameter};
use crate::exchange::{Exchange, Rewritten};
use crate::graphql::document::{Document, Kind as Operation, Refusal};
use crate::graphql::{fit, Fault};
use crate::policy::graphql::rules::schema;
use crate::policy::transform::content::rewrite;
use crate::policy::Context;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::target::Target;
use crate::worker::Worker;

/// Tokens of a stored operation.
const TOKENS: usize = 100_000;
/// Of an answer's: an answer to one representation's question says nothing of the other's.
const CONDITIONS: [HeaderName; 8] =
    [ACCEPT_ENCODING, RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, CONTENT_TYPE];
const PREFLIGHT: HeaderName = HeaderName::from_static("apollo-require-preflight");

pub struct Graphql {
    text: String,
    name: Option<Box<str>>,
    variables: Variables,
    path: String,
    get: bool,
    rules: Arc<Rules>,
    description: Value,
}

impl Graphql {
    pub fn new(settings: &snapshot::GraphqlTranslation, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let (text, place) = match (&settings.operation, &settings.file) {
            (Some(text), None) => (text.clone(), "operation".to_owned()),
            (None, Some(name)) => {
                let documents = context.documents.borrow();
                let text = documents.get(name)?.as_str().unwrap_or_default().to_owned();
                (text, format!("file: {}", name.trim_start_matches(snapshot::GraphqlTranslation::FILE)))
            }
            _ => return Err(vec!["it needs either 'operation' or 'file'".to_owned()]),
        };
        let told = |fault: &Fault| format!("{place}: {}", fault.told(&text));
        let document = Document::parse(&text, TOKENS).map_err(|refusal| match refusal {
            Refusal::Long => vec![format!("{place}: it has more than {TOKENS} tokens")],
            Refusal::Syntax(fault) | Refusal::Invalid(fault) => vec![told(&fault)],
        })?;
        let index = document.operation(settings.operation_name.as_deref());
        let operation = &document.operations[index.map_err(|message| vec![format!("operation_name: {message}")])?];
        let mut wrong = Vec::new();
        if let Some(name) = &settings.schema {
            match schema(name, context) {
                Ok(schema) => wrong.extend(fit::check(&schema, &document).iter().map(told)),
                Err(faults) => wrong.extend(faults),
            }
        }
        if operation.kind == Operation::Subscription {
            wrong.push(format!("{place}: a subscription has no single answer"));
        }
        if settings.get && operation.kind == Operation::Mutation {
            wrong.push("method: a mutation is sent by POST".to_owned());
        }
        let variables = Variables::new(operation, &settings.variables).map_err(|messages| wrong.extend(messages));
        let body = settings.body.as_deref().map(|text| compile_with(text, &["$errors", "$request"])).transpose();
        let body = body.map_err(|message| wrong.push(format!("body: {message}")));
        let (Ok(variables), Ok(body), true) = (variables, body, wrong.is_empty()) else { return Err(wrong) };
        let rules = Rules {
            pick: settings.pick.iter().map(|step| step.as_str().into()).collect(),
            body,
            partial: settings.partial,
            missing: settings.missing,
            status: settings.status,
            statuses: settings.statuses.iter().map(|(code, status)| (code.as_str().into(), *status)).collect(),
            most: settings.max_bytes,
        };
        let description = json!({
            "operation": operation.kind.as_str(), "name": operation.name, "path": settings.path,
            "variables": variables.describe(), "pick": settings.pick, "partial": settings.partial,
        });
        let name = settings.operation_name.as_deref().map(Box::from);
        let (path, get) = (settings.path.clone(), settings.get);
        Ok(Self { text, name, variables, path, get, rules: Arc::new(rules), description })
    }

    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    pub fn belongs_to(&self, target: &Target) -> Result<(), String> {
        match target {
            Target::Cluster(_) => Ok(()),
            _ => Err("the target must be a cluster, whose services speak GraphQL".to_owned()),
        }
    }

    pub fn explain(&self) -> Value {
        crate::explain::decision::open("its variables are not looked at here")
    }

    pub async fn on_request(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Step, Error> {
        let (mut head, mut body) = request.into_parts();
        let request = self.variables.request(exchange, &head, &mut body, self.rules.most).await?;
        let variables = self.variables.values(worker, &request).await?;
        let body = self.write(&mut head, exchange, variables);
        let back = Back { rules: self.rules.clone(), request };
        Ok(Step::Ask(Request::from_parts(head, body), super::Back::Graphql(Box::new(back))))
    }

    fn write(&self, head: &mut Parts, exchange: &mut Exchange, variables: Value) -> Body {
        for name in &CONDITIONS {
            head.headers.remove(name);
        }
        rewrite(&mut head.headers);
        let accept = "application/graphql-response+json, application/json;q=0.9";
        head.headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let mut query = String::new();
        let body = if self.get {
            head.method = Method::GET;
            head.headers.insert(PREFLIGHT, HeaderValue::from_static("1"));
            put_parameter(&mut query, "query", &self.text);
            for (name, value) in [("operationName", self.name.as_deref()), ("variables", Some(&*variables.to_string()))]
            {
                if let Some(value) = value {
                    query.push('&');
                    put_parameter(&mut query, name, value);
                }
            }
            Body::empty()
        } else {
            head.method = Method::POST;
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let mut content = json!({"query": self.text, "variables": variables});
            if let Some(name) = &self.name {
                content["operationName"] = (&**name).into();
            }
            Body::full(content.to_string())
        };
        exchange.rewritten = Some(Box::new(Rewritten { path: Some(self.path.clone()), query: Some(query) }));
        body
    }
}
