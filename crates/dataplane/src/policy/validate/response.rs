//! Answers of the target, told of or enforced.

use http::header::ACCEPT_ENCODING;
use http::{response, Method, Response, StatusCode};
use http_body::Body as _;
use serde_json::{json, Value};

use super::fault::Faults;
use super::media;
use super::{Operation, Validate};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::snapshot;

pub struct Responses {
    enforce: bool,
    body_bytes: usize,
    larger: bool,
}

impl Responses {
    pub fn new(settings: &snapshot::ValidateResponses) -> Self {
        Self { enforce: settings.enforce, body_bytes: settings.body_bytes, larger: settings.larger }
    }

    pub fn describe(settings: &snapshot::ValidateResponses) -> Value {
        json!({"enforce": settings.enforce, "body_bytes": settings.body_bytes, "larger": settings.larger})
    }
}

impl Validate {
    /// Just before the target: an answer that is to be read must not be compressed.
    pub fn before_target(&self, exchange: &Exchange, head: &mut RequestHead) {
        if exchange.operation.is_some() {
            head.headers.remove(ACCEPT_ENCODING);
        }
    }

    pub fn looks_at_answers(&self, exchange: &Exchange) -> bool {
        exchange.operation.is_some() || (self.responses.is_some() && !self.response_types.is_empty())
    }

    /// An answer as it is, or `ResponseInvalid`. Event streams and files are not looked into.
    pub async fn on_answer(&self, exchange: &mut Exchange, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let Some(rule) = &self.responses else { return Ok(answer) };
        if matches!(answer.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED) {
            return Ok(answer);
        }
        let (head, mut body) = answer.into_parts();
        let mut faults = Faults::default();
        self.check_type(exchange, &head, &body, &mut faults);
        if let Some(operation) = exchange.operation.clone() {
            rule.check(&operation, exchange, &head, &mut body, &mut faults).await?;
        }
        if !faults.is_empty() {
            let cause = format!("validate: the response: {}", faults.summary());
            if rule.enforce {
                let detail = "The service's answer is not as its API describes it";
                return Err(Error::new(Kind::ResponseInvalid, detail).cause(cause));
            }
            exchange.cause = Some(cause);
        }
        Ok(Response::from_parts(head, body))
    }

    /// Of an answer with content, whatever its status.
    fn check_type(&self, exchange: &Exchange, head: &response::Parts, body: &Body, faults: &mut Faults) {
        if self.response_types.is_empty() || (body.is_end_stream() && exchange.method != Method::HEAD) {
            return;
        }
        let declared = media::declared(&head.headers).unwrap_or_default();
        // Of an answer to HEAD without a type nobody knows whether it would have content.
        let bare = exchange.method == Method::HEAD && declared.is_empty();
        if !bare && !self.response_types.iter().any(|range| media::fits(range, &declared)) {
            let listed = self.response_types.join(", ");
            faults.add("header", "content-type", "", &format!("must be one of {listed}"));
        }
    }
}

impl Responses {
    async fn check(
        &self,
        operation: &Operation,
        exchange: &Exchange,
        head: &response::Parts,
        body: &mut Body,
        faults: &mut Faults,
    ) -> Result<(), Error> {
        match operation.response(head.status.as_u16()) {
            None => faults.add("status", "", "", "is not one that the API describes"),
            Some(described) => {
                described.check_head(&head.headers, faults);
                let bare = exchange.method == Method::HEAD || head.status == StatusCode::NO_CONTENT;
                let declared = media::declared(&head.headers).unwrap_or_default();
                match described.content.find(&declared) {
                    _ if bare || described.content.is_empty() => {}
                    None => faults.add(
                        "header",
                        "content-type",
                        "",
                        &format!("must be one of {}", described.content.names()),
                    ),
                    Some(media) if !media.is_read() || declared == "text/event-stream" => {}
                    Some(_) if media::is_coded(&head.headers) => {
                        faults.add("header", "content-encoding", "", "must not be given here");
                    }
                    Some(media) => match body.peek(self.body_bytes).await? {
                        Some(content) => media.check(&content, faults),
                        None if self.larger => {}
                        None => faults.add("body", "", "", &format!("must have at most {} bytes", self.body_bytes)),
                    },
                }
                if described.content.is_empty() && !bare && !body.is_end_stream() {
                    faults.add("body", "", "", "must not be given here");
                }
            }
        }
        Ok(())
    }
}
