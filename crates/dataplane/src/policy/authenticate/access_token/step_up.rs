//! How, and how lately, the user was authenticated: what is asked of a token, and how its client is told (RFC 9470).

use serde_json::Value;

use crate::policy::authenticate::claims::Wrong;
use crate::policy::authenticate::jwt::rules::time;
use crate::snapshot;

pub struct StepUp {
    acr_values: Vec<String>,
    max_age_s: Option<u64>,
    /// The parameters of the challenge (§3).
    pub challenge: String,
}

impl StepUp {
    pub fn new(settings: &snapshot::StepUp) -> Self {
        let mut challenge = "error=\"insufficient_user_authentication\"".to_owned();
        if !settings.acr_values.is_empty() {
            challenge.push_str(&format!(", acr_values=\"{}\"", settings.acr_values.join(" ")));
        }
        if let Some(max_age) = settings.max_age_s {
            challenge.push_str(&format!(", max_age=\"{max_age}\""));
        }
        Self { acr_values: settings.acr_values.clone(), max_age_s: settings.max_age_s, challenge }
    }

    /// `now` in seconds since 1970, with the skew taken off. A token that does not say is not enough.
    pub fn check(&self, claims: &Value, now: f64) -> Result<(), Wrong> {
        let claims = claims.as_object().ok_or("there are no claims")?;
        if !self.acr_values.is_empty() {
            let acr = claims.get("acr").and_then(Value::as_str).unwrap_or_default();
            if !self.acr_values.iter().any(|wanted| wanted == acr) {
                return Err("its user was not authenticated in a way that is asked for");
            }
        }
        if let Some(max_age) = self.max_age_s {
            let authenticated = time(claims, "auth_time")?.ok_or("it has no auth_time")?;
            // At most days: exact.
            if now - authenticated > max_age as f64 {
                return Err("its user was authenticated too long ago");
            }
        }
        Ok(())
    }
}
