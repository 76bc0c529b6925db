//! Expressions of the configuration, evaluated on a request's way.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use stagedoor_expression::{Expression, Template, Value};

use crate::worker::Worker;

/// jq, as it is or as `${ jq }`.
pub fn compile(text: &str) -> Result<Template, String> {
    if !text.trim_start().starts_with("${") {
        let expression = Expression::compile(text, &[]).map_err(|error| error.to_string())?;
        return Ok(Template::Whole(Arc::new(expression)));
    }
    match Template::parse(text, &[]).map_err(|error| error.to_string())? {
        whole @ Template::Whole(_) => Ok(whole),
        _ => Err(format!("'{text}' is not one expression")),
    }
}

/// Never holds the worker up: what takes long is evaluated on a thread of its own, while other requests go on.
pub async fn evaluate(worker: &Worker, template: &Template, input: &Value) -> Result<Value, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|now| now.as_secs_f64());
    if let Some(outcome) = template.try_first(input, &[], now) {
        return outcome.map_err(|error| error.to_string());
    }
    let (template, input) = (template.clone(), input.clone());
    let permit = worker.evaluations.clone().acquire_owned().await;
    let evaluation = move || {
        // Held until the evaluation ends, also when nobody waits for it any more.
        let _permit = permit;
        template.evaluate(&input, &[], now)
    };
    match tokio::task::spawn_blocking(evaluation).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
