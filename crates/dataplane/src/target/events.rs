//! A target that takes CloudEvents (HTTP Protocol Binding 1.0.2), by a callout to the control plane: 202 once they are
//! stored.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use stagedoor_expression::Value;

use super::workflow::response::{of_json, refused};
use crate::callout::{self, Answer, Notice};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::worker::Worker;

/// A larger body is 413, also where the route's `limits` allow more: the whole of it is held in memory.
pub const BODY_BYTES: usize = 1024 * 1024;
const ATTRIBUTE: &str = "ce-";
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(worker: &Rc<Worker>, exchange: &Exchange, request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, mut body) = request.into_parts();
    let body = body.buffer(BODY_BYTES).await?;
    let route = exchange.route.as_ref().map(|route| route.id.to_string()).unwrap_or_default();
    let headers = of_event(head.headers);
    let notice = |callout| Notice::ReceiveEvents { callout, route, headers, body };
    let deadline = exchange.deadline.min(Instant::now() + PATIENCE);
    match callout::ask(worker, deadline, notice).await? {
        Answer::Stored { count } => {
            let told = Value::object(vec![("stored", Value::from(count as isize))])
                .map_err(|error| Error::new(Kind::Internal, "The answer cannot be made").cause(error))?;
            Ok(of_json(StatusCode::ACCEPTED, &told))
        }
        Answer::Refused { kind, detail, retry_after_s } => Err(refused(kind, detail, retry_after_s)),
        Answer::Completed { .. } | Answer::Faulted { .. } | Answer::Running { .. } | Answer::Shown { .. } => {
            Err(Error::new(Kind::Internal, "The engine gave another answer than was asked for"))
        }
    }
}

/// What of a request's head is about the event: nothing else leaves the data plane.
fn of_event(headers: HeaderMap) -> HeaderMap {
    let about = |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with(ATTRIBUTE);
    headers.iter().filter(|(name, _)| about(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
