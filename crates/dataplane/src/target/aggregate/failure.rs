//! Why a call has no answer that could be used, and what the client is told of that.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{json, Value};

use super::text::Place;
use crate::error::{self, Error, Kind};

/// Names of calls that failed, as a list of RFC 9651: `orders;status=503, prices;error=deadline-exceeded`.
pub const FAILED_CALLS: HeaderName = HeaderName::from_static("x-stagedoor-failed-calls");

/// Statuses of a service that say something to the client; any other one that is no success says that the call itself
/// was wrong or the service is broken, which is 502.
const TELLING: [u16; 9] = [401, 403, 404, 409, 410, 422, 429, 451, 503];

#[derive(Debug, Clone)]
pub struct Failure {
    pub error: Error,
    /// Of the service, where it answered.
    pub status: Option<StatusCode>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, status: None }
    }
}

impl Failure {
    /// The service's answer is no success.
    pub fn answered(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut error = Error::new(Kind::CallFailed, format!("the service answered with {}", status.as_u16()));
        for name in [RETRY_AFTER, WWW_AUTHENTICATE] {
            error.headers.extend(headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
        Self { error, status: Some(status) }
    }

    /// The service's answer cannot be used.
    pub fn unusable(status: StatusCode, why: impl std::fmt::Display) -> Self {
        let error = Error::new(Kind::BadReply, format!("the service's answer cannot be used: {why}"));
        Self { error, status: Some(status) }
    }

    pub fn expression(option: &str, cause: impl std::fmt::Display) -> Self {
        Error::new(Kind::ExpressionFailed, format!("its '{option}' could not be made")).cause(cause).into()
    }

    pub fn request(detail: &str) -> Self {
        Error::new(Kind::BadRequest, detail).into()
    }

    /// A value cannot be used for a call. `answered`: a service has given it, not the client.
    pub fn value(answered: bool, detail: &str) -> Self {
        match answered {
            true => Error::new(Kind::CallFailed, detail).into(),
            false => Self::request(detail),
        }
    }

    /// A value that the path needs is not there.
    pub fn missing<'n>(place: &Place, answered: bool, name: impl Fn(usize) -> &'n str) -> Self {
        match place {
            Place::Param(_) => Self::request("a parameter of the path is empty"),
            Place::Item(_) => Self::value(answered, "an item of its list has no value for its path"),
            Place::Query(name) => Self::request(&format!("the query has no '{name}'")),
            Place::Header(name) => Self::request(&format!("there is no header '{name}'")),
            Place::ConsumerId | Place::ConsumerPlan => {
                Error::new(Kind::Forbidden, "only a consumer who is known can be answered here").into()
            }
            Place::Answer(index, _) => {
                Self::value(answered, &format!("the answer of '{}' has no value for its path", name(*index)))
            }
        }
    }

    /// What the whole answers where it cannot be without this call.
    pub fn status(&self) -> StatusCode {
        let kind = StatusCode::from_u16(self.error.kind.status()).unwrap_or(StatusCode::BAD_GATEWAY);
        let telling = |status: &StatusCode| self.is_status() && TELLING.contains(&status.as_u16());
        self.status.filter(telling).unwrap_or(kind)
    }

    fn is_status(&self) -> bool {
        self.error.kind == Kind::CallFailed
    }

    /// RFC 9457.
    pub fn problem(&self, call: &str) -> Value {
        let status = if self.is_status() { self.status.unwrap_or(self.status()) } else { self.status() };
        json!({
            "type": error::documentation(self.error.kind), "title": self.error.kind.title(),
            "status": status.as_u16(), "detail": self.detail(call), "call": call,
        })
    }

    fn detail(&self, call: &str) -> String {
        format!("The call '{call}': {}", self.error.detail)
    }

    /// The whole ends with it.
    pub fn into_error(self, call: &str) -> (Error, StatusCode) {
        let (status, detail) = (self.status(), self.detail(call));
        let mut error = Error { detail, ..self.error };
        // Of another status they would say something else.
        if error.kind == Kind::CallFailed && self.status != Some(status) {
            error.headers.clear();
        }
        (error, status)
    }

    /// A member of `FAILED_CALLS`.
    pub fn told(&self, call: &str) -> String {
        match self.status.filter(|_| self.is_status()) {
            Some(status) => format!("{call};status={}", status.as_u16()),
            None => format!("{call};error={}", self.error.kind.code()),
        }
    }
}

pub fn header(told: &[String]) -> Option<HeaderValue> {
    HeaderValue::from_str(&told.join(", ")).ok().filter(|_| !told.is_empty())
}
