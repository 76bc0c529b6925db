//! What the claims of a verified token say: that it is for us and for now, and who its subject is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::token::Wrong;
use crate::snapshot;

/// Groups, scopes and audiences of one token; those after them are an error.
pub const NAMES: usize = 1000;

pub struct Rules {
    audience: Vec<String>,
    skew_s: f64,
    required: BTreeMap<String, Value>,
    subject: String,
    groups: Option<String>,
    scopes: Option<String>,
}

/// Who it is, and until when, in seconds since 1970 with the skew in it.
pub struct Subject {
    pub name: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    pub until: f64,
}

impl Rules {
    pub fn new(settings: &snapshot::Jwt, errors: &mut Vec<String>) -> Self {
        let pointers = [Some(&settings.subject), settings.groups.as_ref(), settings.scopes.as_ref()];
        for pointer in pointers.into_iter().flatten().filter(|pointer| !pointer.starts_with('/')) {
            errors.push(format!("jwt: '{pointer}' is not a JSON Pointer such as /sub"));
        }
        Self {
            audience: settings.audience.clone(),
            // At most hours: exact.
            skew_s: settings.skew_s as f64,
            required: settings.required.clone(),
            subject: settings.subject.clone(),
            groups: settings.groups.clone(),
            scopes: settings.scopes.clone(),
        }
    }

    /// RFC 7519 §4.1 and RFC 9068 §4. `now` in seconds since 1970.
    pub fn check(&self, claims: &Map<String, Value>, now: f64) -> Result<Subject, Wrong> {
        let until = time(claims, "exp")?.ok_or("it has no exp")? + self.skew_s;
        if now >= until {
            return Err("it has expired");
        }
        if time(claims, "nbf")?.is_some_and(|begin| now < begin - self.skew_s) {
            return Err("it is not valid yet");
        }
        if time(claims, "iat")?.is_some_and(|issued| now < issued - self.skew_s) {
            return Err("it was issued in the future");
        }
        if !self.audience.is_empty() {
            let audiences = names(claims.get("aud"))?.ok_or("it has no aud")?;
            if !audiences.iter().any(|audience| self.audience.contains(audience)) {
                return Err("it is for another audience");
            }
        }
        for (name, wanted) in &self.required {
            match claims.get(name) {
                None => return Err("a claim that is required is missing"),
                Some(value) if value != wanted => return Err("a claim that is required has another value"),
                Some(_) => {}
            }
        }
        let claims = &Value::Object(claims.clone());
        let name = match claims.pointer(&self.subject) {
            Some(Value::String(name)) if !name.is_empty() && name.len() <= 1024 => name.clone(),
            _ => return Err("it does not say who its subject is"),
        };
        let groups = self.groups.as_ref().map(|pointer| names(claims.pointer(pointer))).transpose()?.flatten();
        let scopes = match &self.scopes {
            Some(pointer) => words(claims.pointer(pointer))?,
            None => match words(claims.get("scope"))? {
                None => words(claims.get("scp"))?,
                scopes => scopes,
            },
        };
        Ok(Subject { name, groups: groups.unwrap_or_default(), scopes: scopes.unwrap_or_default(), until })
    }
}

/// NumericDate (RFC 7519 §2).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Wrong> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .filter(|time| (0.0..1e12).contains(time))
            .map(Some)
            .ok_or("a time in it is not a number of seconds"),
    }
}

/// One text, or a list of texts.
fn names(value: Option<&Value>) -> Result<Option<Vec<String>>, Wrong> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(vec![name.clone()])),
        Some(Value::Array(names)) if names.len() <= NAMES => {
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            names.collect::<Option<Vec<_>>>().map(Some).ok_or("a list in it holds something other than texts")
        }
        Some(_) => Err("a claim is neither text nor a list of texts, or too long a list"),
    }
}

/// As `names`, with spaces between those of one text (RFC 6749 §3.3).
fn words(value: Option<&Value>) -> Result<Option<Vec<String>>, Wrong> {
    match value {
        Some(Value::String(text)) => {
            let words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            if words.len() > NAMES {
                Err("it has too many scopes")
            } else {
                Ok(Some(words))
            }
        }
        other => names(other),
    }
}
