//! What an error of HTTP/2 means for the exchange, and whether the endpoint is at fault.

use h2::Reason;

use crate::cluster::fault::chain;
use crate::cluster::retry::Failure;
use crate::error::{Error, Kind, Retry};

/// The request has not been processed and never will be: the stream is above the last one of a GOAWAY, or was refused
/// (RFC 9113 §6.8, §8.7).
pub(super) fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// Before an answer. `unprocessed`: the endpoint has said so, or the request was never sent. `reused`: the connection carried exchanges before, so the endpoint may simply have closed it.
pub(in crate::cluster) fn classify(error: &h2::Error, unprocessed: bool, reused: bool) -> (Failure, Error, bool) {
    if unprocessed {
        let refused = error.is_reset();
        let detail = if refused { "the service refused the request" } else { "the connection was closed" };
        let fault = Error::new(Kind::EndpointUnreachable, detail).retry(Retry::Safe).cause(chain(error));
        // Another connection serves where this one ends; where the endpoint has too much to do, another endpoint may.
        return (if refused { Failure::Refused } else { Failure::Stale }, fault, false);
    }
    if error.is_library() {
        let detail = "the service's response is not valid HTTP/2";
        return (Failure::BadReply, Error::new(Kind::BadReply, detail).cause(chain(error)), true);
    }
    if !error.is_io() && !error.is_remote() {
        let detail = "The request cannot be said in HTTP/2";
        return (Failure::BadReply, Error::new(Kind::BadRequest, detail).cause(chain(error)), false);
    }
    let detail = match error.is_reset() {
        true => "the service broke the exchange off before it answered",
        false => "the service closed the connection before it answered",
    };
    let fault = Error::new(Kind::BadReply, detail).retry(Retry::IfIdempotent).cause(chain(error));
    (Failure::Reset { reused: reused && error.is_io() }, fault, true)
}
