//! An id for every request, for its log line and its problem details: the client's own if it is acceptable, else a fresh
//! one; sent on and sent back where the policy is.

use http::{HeaderName, HeaderValue};
use serde_json::{json, Value};

use super::{RequestHead, ResponseHead};
use crate::exchange::Exchange;
use crate::snapshot;
use crate::telemetry::hex;

pub struct RequestId {
    pub header: HeaderName,
    /// Take over a valid id of the client.
    pub accept: bool,
}

impl RequestId {
    pub fn new(settings: &snapshot::RequestId) -> Result<Self, Vec<String>> {
        match HeaderName::from_bytes(settings.header.as_bytes()) {
            Ok(header) if super::headers::is_reserved(&header) => {
                Err(vec![format!("the header '{header}' belongs to the protocol and cannot carry the id")])
            }
            Ok(header) => Ok(Self { header, accept: settings.accept }),
            Err(_) => Err(vec![format!("'{}' is not a header name", settings.header)]),
        }
    }

    pub fn describe(&self) -> Value {
        json!({"header": self.header.as_str(), "accept": self.accept})
    }

    fn accepted(&self, head: &RequestHead) -> Option<HeaderValue> {
        let mut values = head.headers.get_all(&self.header).iter();
        match (self.accept, values.next(), values.next()) {
            (true, Some(value), None) if is_valid(value.as_bytes()) => Some(value.clone()),
            _ => None,
        }
    }

    pub fn on_request(&self, exchange: &mut Exchange, head: &mut RequestHead) {
        if let Some(id) = self.accepted(head) {
            exchange.take_request_id(id);
        }
        head.headers.insert(self.header.clone(), exchange.request_id().clone());
    }

    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead) {
        head.headers.insert(self.header.clone(), exchange.request_id().clone());
    }
}

/// 1–128 of `A-Za-z0-9._-`: safe in a log, a header and a URL.
fn is_valid(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// 128 random bits in hex.
pub fn fresh() -> HeaderValue {
    hex::value(&hex::encode::<32>(fastrand::u128(..)))
}
