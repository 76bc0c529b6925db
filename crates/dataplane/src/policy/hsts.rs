//! `Strict-Transport-Security` (RFC 6797).

use http::header::STRICT_TRANSPORT_SECURITY;
use http::HeaderValue;
use serde_json::{json, Value};

use super::ResponseHead;
use crate::exchange::Exchange;
use crate::snapshot;

pub struct Hsts {
    field: HeaderValue,
}

impl Hsts {
    pub fn new(settings: &snapshot::Hsts) -> Result<Self, Vec<String>> {
        let mut field = format!("max-age={}", settings.max_age_s);
        if settings.include_subdomains {
            field.push_str("; includeSubDomains");
        }
        if settings.preload {
            field.push_str("; preload");
        }
        match HeaderValue::try_from(field) {
            Ok(field) => Ok(Self { field }),
            Err(error) => Err(vec![error.to_string()]),
        }
    }

    pub fn describe(&self) -> Value {
        json!(self.field.to_str().unwrap_or_default())
    }

    /// What the target says of it is replaced: the policy decides. Never over plain HTTP (RFC 6797 §7.2).
    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead) {
        match exchange.scheme {
            "https" => head.headers.insert(STRICT_TRANSPORT_SECURITY, self.field.clone()),
            _ => head.headers.remove(STRICT_TRANSPORT_SECURITY),
        };
    }
}
