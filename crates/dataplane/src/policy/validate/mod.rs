//! Messages as a description says they are: OpenAPI 3.0 and 3.1, a JSON Schema alone, or only media types. All faults of
//! a request are told at once.

mod api;
mod document;
pub mod examples;
mod fault;
pub(super) mod json;
pub(super) mod media;
mod operation;
mod parameter;
mod response;
mod schema;
mod shape;
mod standing;
mod style;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method};
use http_body::Body as _;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::{Context, RequestHead};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::graphql::schema::Schema;
use crate::protocol::body::Body;
use crate::snapshot;

use api::Api;
use fault::Faults;
use media::Media;
pub use operation::Operation;
use response::Responses;
pub use standing::Standing;

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

pub struct Validate {
    content_types: Vec<String>,
    response_types: Vec<String>,
    rule: Rule,
    body_bytes: usize,
    responses: Option<Responses>,
    description: Value,
}

enum Rule {
    Any,
    Schema(Media),
    Api { api: Arc<Api>, base: String, unknown: bool },
}

/// Descriptions by name, each compiled once however many routes name it.
pub struct Documents<'a> {
    documents: &'a BTreeMap<String, Value>,
    apis: FxHashMap<(String, bool), Result<Arc<Api>, Vec<String>>>,
    /// Those of GraphQL.
    pub(super) schemas: FxHashMap<String, Result<Arc<Schema>, Vec<String>>>,
}

impl<'a> Documents<'a> {
    pub fn new(documents: &'a BTreeMap<String, Value>) -> Self {
        Self { documents, apis: FxHashMap::default(), schemas: FxHashMap::default() }
    }

    pub(super) fn get(&self, name: &str) -> Result<&'a Value, Vec<String>> {
        self.documents.get(name).ok_or_else(|| vec![format!("there is no document '{name}'")])
    }

    fn api(&mut self, name: &str, with_responses: bool) -> Result<Arc<Api>, Vec<String>> {
        let document = self.get(name)?;
        let compiled = self.apis.entry((name.to_owned(), with_responses));
        compiled.or_insert_with(|| Api::new(document, with_responses).map(Arc::new)).clone()
    }
}

impl Validate {
    pub fn new(settings: &snapshot::Validate, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut documents = context.documents.borrow_mut();
        let located = |key: &'static str| {
            move |errors: Vec<String>| errors.into_iter().map(|error| format!("{key}: {error}")).collect::<Vec<_>>()
        };
        let rule = match (&settings.openapi, &settings.schema) {
            (Some(_), Some(_)) => return Err(vec!["'openapi' and 'schema' do not go together".to_owned()]),
            (Some(name), None) => {
                let api = documents.api(name, settings.responses.is_some()).map_err(located("openapi"))?;
                let base = settings.base_path.as_deref().unwrap_or(&api.base).trim_end_matches('/').to_owned();
                Rule::Api { api, base, unknown: settings.unknown }
            }
            (None, Some(name)) => {
                let schema = documents.get(name).map_err(located("schema"))?;
                let schema = schema::alone(schema).map_err(|error| vec![format!("schema: {error}")])?;
                Rule::Schema(Media::json(schema))
            }
            (None, None) => Rule::Any,
        };
        Ok(Self {
            content_types: settings.content_types.clone(),
            response_types: settings.response_types.clone(),
            rule,
            body_bytes: settings.body_bytes,
            responses: settings.responses.as_ref().map(Responses::new),
            description: serde_json::json!({
                "openapi": settings.openapi, "schema": settings.schema, "base_path": settings.base_path,
                "content_types": settings.content_types, "response_types": settings.response_types, "unknown": settings.unknown,
                "body_bytes": settings.body_bytes, "responses": settings.responses.as_ref().map(Responses::describe),
            }),
        })
    }

    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    pub async fn on_request(&self, exchange: &mut Exchange, head: &RequestHead, body: &mut Body) -> Result<(), Error> {
        let has_body = !body.is_end_stream();
        let declared = media::declared(&head.headers).unwrap_or_default();
        let listed = self.content_types.iter().any(|range| media::fits(range, &declared));
        if has_body && !self.content_types.is_empty() && !listed {
            return Err(unsupported(&self.content_types.join(", "), &head.method));
        }
        let mut faults = Faults::default();
        match &self.rule {
            Rule::Any => return Ok(()),
            Rule::Schema(media) => {
                if has_body && !parameter::is_json(&declared) {
                    return Err(unsupported("application/json", &head.method));
                }
                self.check_body(head, body, media, true, &mut faults).await?;
            }
            Rule::Api { api, base, unknown } => {
                let path = exchange.target.clone();
                let found = match api.find(&head.method, base, path.path()) {
                    Ok(Some(found)) => found,
                    _ if *unknown => return Ok(()),
                    Ok(None) => return Err(Error::new(Kind::RouteNotFound, "The API has no such path")),
                    Err(error) => return Err(error),
                };
                found.operation.check_head(&found, path.query(), head, &mut faults);
                match &found.operation.body {
                    None => self.check_nothing(body, &mut faults).await?,
                    Some(_) if !has_body && declared.is_empty() => missing(found.operation, &mut faults),
                    Some(described) => match described.content.find(&declared) {
                        Some(media) if media.is_read() => {
                            self.check_body(head, body, media, described.required, &mut faults).await?;
                        }
                        Some(_) if !has_body => missing(found.operation, &mut faults),
                        Some(_) => {}
                        None if described.content.is_empty() => {}
                        None => return Err(unsupported(&described.content.names(), &head.method)),
                    },
                }
                if self.responses.is_some() {
                    exchange.operation = Some(found.operation.clone());
                }
            }
        }
        match faults.is_empty() {
            true => Ok(()),
            false => {
                let detail = faults.detail("The request is not as the API describes it");
                let cause = format!("validate: {}", faults.summary());
                Err(Error::new(Kind::RequestInvalid, detail).cause(cause).errors(faults.into_told()))
            }
        }
    }

    async fn check_body(
        &self,
        head: &RequestHead,
        body: &mut Body,
        media: &Media,
        required: bool,
        faults: &mut Faults,
    ) -> Result<(), Error> {
        if media::is_coded(&head.headers) {
            let detail = "Here the request's content is taken without a content coding";
            return Err(Error::new(Kind::UnsupportedMediaType, detail));
        }
        let content = body.buffer(self.body_bytes).await?;
        match content.is_empty() {
            true if required => faults.add("body", "", "", "is required"),
            true => {}
            false => media.check(&content, faults),
        }
        Ok(())
    }

    /// Content that the API does not describe is content that nobody has checked.
    async fn check_nothing(&self, body: &mut Body, faults: &mut Faults) -> Result<(), Error> {
        match body.buffer(0).await {
            Err(error) if error.kind == Kind::BodyTooLarge => faults.add("body", "", "", "must not be given here"),
            outcome => drop(outcome?),
        }
        Ok(())
    }
}

fn missing(operation: &Operation, faults: &mut Faults) {
    if operation.body.as_ref().is_some_and(|body| body.required) {
        faults.add("body", "", "", "is required");
    }
}

/// RFC 9110 §15.5.16: with what would be taken, also by the name that there is for the method (RFC 5789 §2.2, Linked Data
/// Platform §7.1).
fn unsupported(types: &str, method: &Method) -> Error {
    let error = Error::new(Kind::UnsupportedMediaType, format!("Here the request's content is one of {types}"));
    let Ok(value) = HeaderValue::from_str(types) else { return error };
    let error = error.header(ACCEPT, value.clone());
    match *method {
        Method::POST => error.header(ACCEPT_POST, value),
        Method::PATCH => error.header(ACCEPT_PATCH, value),
        _ => error,
    }
}
