//! How large a request's body may be, how long its whole exchange may take, and how long a stream may be silent.

use std::time::Duration;

use http::header;
use serde_json::{json, Value};

use super::RequestHead;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::snapshot;

pub struct Limits {
    /// More is 413. A body that does not declare its length is counted as it is read, by whoever reads it.
    pub body_bytes: u64,
    /// The whole exchange; longer is 504.
    pub request: Option<Duration>,
    /// Between two pieces of a response that is a stream; longer breaks it off.
    pub stream_idle: Option<Duration>,
}

impl Limits {
    pub fn new(settings: &snapshot::Limits) -> Result<Self, Vec<String>> {
        if settings.request_ms == Some(0) {
            return Err(vec!["a request time of 0 ms lets nothing through".to_owned()]);
        }
        if settings.stream_idle_ms == Some(0) {
            return Err(vec!["a stream's idle time of 0 ms lets no stream through".to_owned()]);
        }
        Ok(Self {
            body_bytes: settings.body_bytes,
            request: settings.request_ms.map(Duration::from_millis),
            stream_idle: settings.stream_idle_ms.map(Duration::from_millis),
        })
    }

    /// Refuses what declares too large a body, before any of it is read; brings the deadline forward.
    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead) -> Result<(), Error> {
        if let Some(request) = self.request {
            exchange.deadline = exchange.deadline.min(exchange.received + request);
        }
        let declared = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match declared {
            Some(length) if self.body_bytes < length => Err(self.too_large()),
            _ => Ok(()),
        }
    }

    pub fn describe(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
        json!({
            "body_bytes": self.body_bytes,
            "request_ms": millis(self.request),
            "stream_idle_ms": millis(self.stream_idle),
        })
    }

    /// The answer to a body over the limit.
    pub fn too_large(&self) -> Error {
        Error::new(Kind::BodyTooLarge, format!("The body is larger than {} bytes", self.body_bytes))
    }
}
