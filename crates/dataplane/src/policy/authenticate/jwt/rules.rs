//! What the claims of a verified token must say: that it is for us and for now.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::policy::authenticate::claims::{names, Wrong};

pub struct Rules {
    audience: Vec<String>,
    skew_s: f64,
    required: BTreeMap<String, Value>,
}

impl Rules {
    /// Without audiences, any will do.
    pub fn new(audience: &[String], skew_s: u64, required: &BTreeMap<String, Value>) -> Self {
        // At most hours: exact.
        Self { audience: audience.to_vec(), skew_s: skew_s as f64, required: required.clone() }
    }

    /// RFC 7519 §4.1 and RFC 9068 §4. Until when it holds; that and `now` in seconds since 1970, with the skew in it.
    pub fn check(&self, claims: &Map<String, Value>, now: f64) -> Result<f64, Wrong> {
        self.check_known(claims, now)?.ok_or("it has no exp")
    }

    /// The same of a token of which its issuer has just said that it holds, and perhaps not for how long.
    pub fn check_known(&self, claims: &Map<String, Value>, now: f64) -> Result<Option<f64>, Wrong> {
        let until = time(claims, "exp")?.map(|ends| ends + self.skew_s);
        if until.is_some_and(|until| now >= until) {
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
        Ok(until)
    }
}

/// NumericDate (RFC 7519 §2).
pub fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Wrong> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .filter(|time| (0.0..1e12).contains(time))
            .map(Some)
            .ok_or("a time in it is not a number of seconds"),
    }
}
