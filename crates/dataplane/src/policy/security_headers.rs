//! What browsers are told to be careful about, and what the response need not say of the service behind.

use http::{HeaderName, HeaderValue};
use serde_json::{json, Value};

use super::{headers, ResponseHead};
use crate::snapshot;

pub struct SecurityHeaders {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
    /// Whether ours replace the target's own.
    overrule: bool,
}

impl SecurityHeaders {
    pub fn new(settings: &snapshot::SecurityHeaders) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut name = |text: &str| match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if headers::is_reserved(&name) => {
                errors.push(format!("the header '{name}' belongs to the protocol"));
                None
            }
            Ok(name) => Some(name),
            Err(_) => {
                errors.push(format!("'{text}' is not a header name"));
                None
            }
        };
        let remove: Vec<HeaderName> = settings.remove.iter().filter_map(|text| name(text)).collect();
        let named: Vec<(HeaderName, &String)> =
            settings.set.iter().filter_map(|(text, value)| Some((name(text)?, value))).collect();
        let mut set = Vec::new();
        for (name, value) in named {
            match HeaderValue::from_str(value) {
                Ok(value) => set.push((name, value)),
                Err(_) => errors.push(format!("the value for '{name}' is not a header's")),
            }
        }
        match errors.is_empty() {
            true => Ok(Self { set, remove, overrule: settings.overrule }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        let set = self.set.iter().map(|(name, value)| {
            (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned()))
        });
        let remove: Vec<&str> = self.remove.iter().map(HeaderName::as_str).collect();
        json!({"set": set.collect::<serde_json::Map<_, _>>(), "remove": remove, "override": self.overrule})
    }

    pub fn on_response(&self, head: &mut ResponseHead) {
        for name in &self.remove {
            head.headers.remove(name);
        }
        for (name, value) in &self.set {
            if self.overrule || !head.headers.contains_key(name) {
                head.headers.insert(name.clone(), value.clone());
            }
        }
    }
}
