//! The answer of the engine as a response.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use stagedoor_expression::{json, Template, Value};

use super::preference::Preference;
use super::{Context, WorkflowTarget};
use crate::callout::Answer;
use crate::error::{Error, Kind};
use crate::evaluation::evaluate;
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::snapshot;
use crate::worker::Worker;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Told with a 202: when to look at the status resource for the first time.
const LOOK_AFTER_S: u64 = 1;

/// The response to a completed execution.
pub(super) struct ResponseMapping {
    status: StatusCode,
    headers: Vec<(HeaderName, Template)>,
    /// None: the output itself.
    body: Option<Template>,
}

impl ResponseMapping {
    pub(super) fn compile(
        settings: &snapshot::WorkflowResponse,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let before = report.errors.len();
        let status = StatusCode::from_u16(settings.status).ok().filter(|status| status.as_u16() >= 200);
        if status.is_none() {
            context.error(report, format_args!("response: {} is not the status of a response", settings.status));
        }
        let mut headers = Vec::with_capacity(settings.headers.len());
        for (name, text) in &settings.headers {
            match (HeaderName::from_bytes(name.as_bytes()), Template::parse(text, &[])) {
                (Ok(name), Ok(template)) => headers.push((name, template)),
                (Err(_), _) => context.error(report, format_args!("response: '{name}' is not a header's name")),
                (_, Err(error)) => context.error(report, format_args!("response: header '{name}': {error}")),
            }
        }
        let body = settings.body.as_deref().map(|text| Template::parse(text, &[])).transpose();
        let body = body.map_err(|error| context.error(report, format_args!("response: body: {error}")));
        (report.errors.len() == before).then_some(())?;
        Some(Self { status: status?, headers, body: body.ok()? })
    }

    async fn respond(&self, worker: &Worker, output: &Value) -> Result<Response<Body>, Error> {
        let failed = |what: &str, cause: &dyn std::fmt::Display| {
            let detail = format!("The response's {what} could not be made from the workflow's output");
            Error::new(Kind::ExpressionFailed, detail).cause(cause)
        };
        let bodiless =
            matches!(self.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = match &self.body {
            _ if bodiless => Response::new(Body::empty()),
            None => of_json(self.status, output),
            Some(template) => {
                of_json(self.status, &evaluate(worker, template, output).await.map_err(|error| failed("body", &error))?)
            }
        };
        *response.status_mut() = self.status;
        for (name, template) in &self.headers {
            let value = match evaluate(worker, template, output)
                .await
                .map_err(|error| failed(&format!("header '{name}'"), &error))?
            {
                Value::Null => continue,
                value => value.to_text(),
            };
            let value = HeaderValue::from_str(&value).map_err(|error| failed(&format!("header '{name}'"), &error))?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

impl WorkflowTarget {
    pub(super) async fn respond(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        preference: Preference,
        answer: Answer,
    ) -> Result<Response<Body>, Error> {
        match answer {
            Answer::Completed { output, .. } => self.response.respond(worker, &output).await,
            Answer::Faulted { error, .. } => {
                exchange.error = Some(Kind::WorkflowFaulted);
                faulted(&error, &super::request_id(exchange))
            }
            Answer::Running { execution, status } => {
                let location = self.status_path.render(&exchange.params, exchange.path(), &[&execution]);
                let mut response = of_json(StatusCode::ACCEPTED, &status);
                let headers = response.headers_mut();
                let location = HeaderValue::from_str(&location)
                    .map_err(|error| Error::new(Kind::Internal, "The status resource has no path").cause(error))?;
                headers.insert(LOCATION, location);
                headers.insert(RETRY_AFTER, HeaderValue::from(LOOK_AFTER_S));
                if preference.respond_async {
                    headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
                }
                Ok(response)
            }
            Answer::Shown { status, .. } => Ok(of_json(StatusCode::OK, &status)),
            Answer::Stored { .. } => {
                Err(Error::new(Kind::Internal, "The engine gave another answer than was asked for"))
            }
            Answer::Refused { kind, detail, retry_after_s } => Err(refused(kind, detail, retry_after_s)),
        }
    }
}

pub(crate) fn refused(kind: Kind, detail: String, retry_after_s: Option<u64>) -> Error {
    let error = Error::new(kind, detail);
    match retry_after_s {
        Some(seconds) => error.header(RETRY_AFTER, HeaderValue::from(seconds)),
        None => error,
    }
}

/// What an execution says is its consumer's own, so nobody keeps it on the way.
pub(crate) fn of_json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::full(json::write(value)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The workflow's own error (RFC 9457) with its status where that is an error's, the undo's report, and the request id.
fn faulted(error: &Value, request_id: &str) -> Result<Response<Body>, Error> {
    let status = error.get("status").and_then(Value::as_integer);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (400..600).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let known = ["type", "title", "detail", "instance", "compensation"];
    let mut members = vec![("status", Value::from(status.as_u16() as isize))];
    members.extend(known.iter().filter_map(|name| Some((*name, error.get(name)?.clone()))));
    if !request_id.is_empty() {
        members.push(("request_id", Value::string(request_id)));
    }
    let problem = Value::object(members)
        .map_err(|error| Error::new(Kind::WorkflowFaulted, "The workflow's error is too large to tell").cause(error))?;
    let mut response = of_json(status, &problem);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Ok(response)
}
