//! Headers removed, set and added, on the request towards the target and on the response towards the client.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{json, Value};

use super::{RequestHead, ResponseHead};
use crate::snapshot;

pub struct Headers {
    pub request: Changes,
    pub response: Changes,
}

/// Applied in the order remove, set, add.
#[derive(Debug, Default)]
pub struct Changes {
    pub remove: Vec<HeaderName>,
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// Framing, the connection, and the authority are the gateway's own business (RFC 9110 §7.6.1, RFC 9112 §6).
pub fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [&str; 13] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    RESERVED.contains(&name.as_str())
}

impl Headers {
    pub fn new(settings: &snapshot::Headers) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let request = Changes::new("request", &settings.request, &mut errors);
        let response = Changes::new("response", &settings.response, &mut errors);
        match errors.is_empty() {
            true => Ok(Self { request, response }),
            false => Err(errors),
        }
    }

    /// Names only: a value may be a secret.
    pub fn describe(&self) -> Value {
        json!({"request": self.request.describe(), "response": self.response.describe()})
    }

    pub fn on_request(&self, head: &mut RequestHead) {
        self.request.apply(&mut head.headers);
    }

    pub fn on_response(&self, head: &mut ResponseHead) {
        self.response.apply(&mut head.headers);
    }
}

impl Changes {
    fn new(side: &str, settings: &snapshot::HeaderChanges, errors: &mut Vec<String>) -> Self {
        let mut name = |text: &str, change: &str| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if is_reserved(&name) => {
                errors.push(format!(
                    "{side}.{change}: the header '{name}' belongs to the protocol and cannot be changed"
                ));
                None
            }
            Ok(name) => Some(name),
            Err(_) => {
                errors.push(format!("{side}.{change}: '{text}' is not a header name"));
                None
            }
        };
        let remove = settings.remove.iter().filter_map(|text| name(text, "remove")).collect();
        let set: Vec<_> = settings.set.iter().filter_map(|(text, value)| Some((name(text, "set")?, value))).collect();
        let add: Vec<_> = settings.add.iter().filter_map(|(text, value)| Some((name(text, "add")?, value))).collect();
        let mut values = |pairs: Vec<(HeaderName, &String)>, change: &str| {
            let valid = pairs.into_iter().filter_map(|(name, text)| match HeaderValue::from_str(text) {
                Ok(value) => Some((name, value)),
                Err(_) => {
                    // The value may be a secret, so it is not shown.
                    errors.push(format!("{side}.{change}: the value of '{name}' holds a character that no header may"));
                    None
                }
            });
            valid.collect()
        };
        Self { remove, set: values(set, "set"), add: values(add, "add") }
    }

    fn describe(&self) -> Value {
        let names = |pairs: &[(HeaderName, HeaderValue)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.to_string()).collect()
        };
        let remove: Vec<&str> = self.remove.iter().map(HeaderName::as_str).collect();
        json!({"remove": remove, "set": names(&self.set), "add": names(&self.add)})
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
    }
}
