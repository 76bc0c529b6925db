//! Fields that are the same on every request.

use std::collections::BTreeMap;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{json, Value};

use crate::snapshot::{BasicCredentials, Secret};

pub(super) struct Fixed {
    kind: &'static str,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Fixed {
    pub(super) fn new(settings: &BTreeMap<String, Secret>) -> Result<Self, Vec<String>> {
        let (mut fields, mut errors) = (Vec::new(), Vec::new());
        for (name, value) in settings {
            match (super::field(name), sensitive(value.reveal())) {
                (Ok(name), Some(value)) => fields.push((name, value)),
                (Err(wrong), _) => errors.push(wrong),
                (_, None) => errors.push(format!("'{name}' has a value that no header can hold")),
            }
        }
        if settings.is_empty() {
            errors.push("there is none".to_owned());
        }
        match errors.is_empty() {
            true => Ok(Self { kind: "headers", fields }),
            false => Err(errors),
        }
    }

    /// RFC 7617 §2.
    pub(super) fn basic(settings: &BasicCredentials) -> Result<Self, Vec<String>> {
        let controls = |text: &str| text.chars().any(char::is_control);
        if settings.username.contains(':') || controls(&settings.username) || controls(settings.password.reveal()) {
            return Err(vec!["a name has no colon, and neither it nor the password a control character".to_owned()]);
        }
        let pair = STANDARD.encode(format!("{}:{}", settings.username, settings.password.reveal()));
        let value = sensitive(&format!("Basic {pair}")).ok_or_else(|| vec!["no header can hold it".to_owned()])?;
        Ok(Self { kind: "basic", fields: vec![(AUTHORIZATION, value)] })
    }

    pub(super) fn names(&self) -> Vec<HeaderName> {
        self.fields.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.fields {
            headers.insert(name.clone(), value.clone());
        }
    }

    pub(super) fn describe(&self) -> Value {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        json!({self.kind: names})
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
