//! Expressions of the configuration, evaluated on a request's way.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use stagedoor_expression::{Expression, Part, Template, Value};

use crate::route::template::escape;
use crate::worker::Worker;

/// What is not unreserved (RFC 3986 §2.3): a value is one segment, or one value of a query, whatever it holds.
pub const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// jq, as it is or as `${ jq }`.
pub fn compile(text: &str) -> Result<Template, String> {
    compile_with(text, &[])
}

/// Variables are names with their `$`.
pub fn compile_with(text: &str, variables: &[&str]) -> Result<Template, String> {
    if !text.trim_start().starts_with("${") {
        let expression = Expression::compile(text, variables).map_err(|error| error.to_string())?;
        return Ok(Template::Whole(Arc::new(expression)));
    }
    match Template::parse(text, variables).map_err(|error| error.to_string())? {
        whole @ Template::Whole(_) => Ok(whole),
        _ => Err(format!("'{text}' is not one expression")),
    }
}

pub async fn evaluate(worker: &Worker, template: &Template, input: &Value) -> Result<Value, String> {
    evaluate_with(worker, template, input, &[]).await
}

/// Never holds the worker up: what takes long is evaluated on a thread of its own, while other requests go on. The
/// variables in the order in which they were compiled.
pub async fn evaluate_with(
    worker: &Worker,
    template: &Template,
    input: &Value,
    variables: &[Value],
) -> Result<Value, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|now| now.as_secs_f64());
    if let Some(outcome) = template.try_first(input, variables, now) {
        return outcome.map_err(|error| error.to_string());
    }
    let (template, input, variables) = (template.clone(), input.clone(), variables.to_vec());
    let permit = worker.evaluations.clone().acquire_owned().await;
    let evaluation = move || {
        // Held until the evaluation ends, also when nobody waits for it any more.
        let _permit = permit;
        template.evaluate(&input, &variables, now)
    };
    match tokio::task::spawn_blocking(evaluation).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// A path. Each `${ … }` within a text is one segment, whatever it yields; one that is the whole text is a whole path, and
/// may have a query.
pub async fn path(worker: &Worker, template: &Template, input: &Value, variables: &[Value]) -> Result<String, String> {
    let path = match template {
        Template::Text(text) => escape(text),
        Template::Whole(_) => match evaluate_with(worker, template, input, variables).await?.to_text() {
            path if path.starts_with('/') && !path.contains(['\\', '#']) => escape(&path),
            _ => return Err("it yields no path".to_owned()),
        },
        Template::Parts(parts) => {
            let mut path = String::new();
            for part in parts.iter() {
                match part {
                    Part::Text(text) => path.push_str(&escape(text)),
                    Part::Expression(expression) => {
                        let one = Template::Whole(Arc::clone(expression));
                        let value = scalar(&evaluate_with(worker, &one, input, variables).await?);
                        let value = value.filter(|value| !value.is_empty()).ok_or("a value of it is none")?;
                        path.extend(utf8_percent_encode(&value, VALUE));
                    }
                }
            }
            path
        }
    };
    match leaves_its_place(&path) {
        true => Err("its values make a path that leaves its place".to_owned()),
        false => Ok(path),
    }
}

/// Values may be dots, or make them side by side.
pub fn leaves_its_place(path: &str) -> bool {
    let own = path.split('?').next().unwrap_or_default();
    own.split('/').any(is_dots)
}

/// `.` or `..`, also where a dot is written `%2E`, which is the same (RFC 3986 §6.2.2.2).
fn is_dots(segment: &str) -> bool {
    let (mut rest, mut dots) = (segment, 0);
    while let Some(left) = [".", "%2e", "%2E"].iter().find_map(|dot| rest.strip_prefix(dot)) {
        (rest, dots) = (left, dots + 1);
    }
    rest.is_empty() && matches!(dots, 1 | 2)
}

/// Adds a parameter to a path that may have a query.
pub fn add_parameter(path: &mut String, name: &str, value: &str) {
    path.push(if path.contains('?') { '&' } else { '?' });
    put_parameter(path, name, value);
}

pub fn put_parameter(query: &mut String, name: &str, value: &str) {
    query.extend(utf8_percent_encode(name, VALUE));
    query.push('=');
    query.extend(utf8_percent_encode(value, VALUE));
}

/// What can stand in a text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        value => Some(value.to_text()),
    }
}
