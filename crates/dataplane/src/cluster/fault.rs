//! Why there is no answer, as the client and the log are told.

use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::HeaderValue;

use super::retry::Failure;
use crate::error::{Error, Kind, Retry};

pub(super) fn unavailable(wait: Duration) -> Error {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let error = Error::new(Kind::ClusterUnavailable, "every endpoint of the service is failing; try again later");
    match HeaderValue::from_str(&seconds.to_string()) {
        Ok(seconds) => error.header(RETRY_AFTER, seconds),
        Err(_) => error,
    }
}

pub(super) fn unreachable(cause: &dyn fmt::Display) -> Error {
    Error::new(Kind::EndpointUnreachable, "the service could not be reached").retry(Retry::Safe).cause(cause)
}

/// What hyper's error means, and whether the endpoint is at fault.
pub(super) fn classify(error: &hyper::Error, reused: bool) -> (Failure, Error, bool) {
    if error.is_user() || error.is_body_write_aborted() {
        let own = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
        let fault = match own {
            Some(error) => error.clone(),
            None => Error::new(Kind::InvalidBody, "the request body ended early").cause(chain(error)),
        };
        return (Failure::BadReply, fault, false);
    }
    if error.is_parse() {
        let detail = if error.is_parse_too_large() {
            "the head of the service's response is too large"
        } else {
            "the service's response is not valid HTTP"
        };
        return (Failure::BadReply, Error::new(Kind::BadReply, detail).cause(chain(error)), true);
    }
    let fault = Error::new(Kind::BadReply, "the service closed the connection before it answered")
        .retry(Retry::IfIdempotent)
        .cause(chain(error));
    (Failure::Reset { reused }, fault, true)
}

/// An error with what caused it, for the log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
