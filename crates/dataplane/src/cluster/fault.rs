//! Why there is no answer, as the client and the log are told.

use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::HeaderValue;

use super::http1::{Broken, Cut, Fault, Malformed};
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

/// What a broken exchange means, and whether the endpoint is at fault.
pub(super) fn classify(broken: Broken, reused: bool) -> (Failure, Error, bool) {
    match broken {
        Broken::Upload(Fault::Body(error)) => (Failure::BadReply, error, false),
        Broken::Upload(Fault::Unsent(cause)) if reused => (Failure::Stale, unreachable(&cause), false),
        Broken::Upload(Fault::Unsent(cause)) => (Failure::Connect, unreachable(&cause), true),
        Broken::Malformed(malformed) => (Failure::BadReply, bad_reply(malformed), true),
        Broken::Closed { begun, cause } => {
            let error = Error::new(Kind::BadReply, "the service closed the connection before it answered")
                .retry(Retry::IfIdempotent)
                .cause(match (cause, begun) {
                    (Some(cause), _) => cause.to_string(),
                    (None, true) => "in the middle of the head".to_owned(),
                    (None, false) => "without a byte".to_owned(),
                });
            // A kept connection that the endpoint closed meanwhile is nobody's fault.
            (Failure::Reset { reused }, error, !reused)
        }
    }
}

fn bad_reply(malformed: Malformed) -> Error {
    match malformed {
        Malformed::TooLarge => Error::new(Kind::BadReply, "the head of the service's response is too large"),
        Malformed::NotHttp(cause) => {
            Error::new(Kind::BadReply, "the service's response is not valid HTTP").cause(cause)
        }
    }
}

/// Why the content of an answer ends before its end.
pub(super) fn cut(cut: Cut) -> Error {
    let error = Error::new(Kind::BadReply, "the service's response broke off");
    match cut {
        Cut::Closed(Some(cause)) => error.cause(cause),
        Cut::Closed(None) => error.cause("the connection was closed"),
        Cut::Malformed(cause) => error.cause(cause),
    }
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
