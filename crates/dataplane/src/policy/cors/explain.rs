//! What the policy says of a request, for people.

use http::{header, HeaderValue, Method};
use serde_json::{json, Value};

use super::Cors;
use crate::policy::RequestHead;

impl Cors {
    /// What it would say, for people. It is the browser who keeps to it.
    pub fn explain(&self, head: &RequestHead) -> Value {
        let Some(origin) = head.headers.get(header::ORIGIN) else {
            return json!({"decision": "passes", "why": "without Origin it is no request of another origin's page"});
        };
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let (origin, allowed) = (text(origin), self.allows(origin));
        let word = if allowed { "may" } else { "may not" };
        let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| head.method == Method::OPTIONS);
        let Some(method) = asked.map(text) else {
            let credentials = if allowed && self.credentials { ", with the user's credentials" } else { "" };
            return json!({"decision": "passes", "why": format!("pages of {origin} {word} read the answer{credentials}")});
        };
        let listed = |list: &Option<HeaderValue>, name: &str, fold: bool| {
            let is = |one: &str| if fold { one.eq_ignore_ascii_case(name) } else { one == name };
            list.as_ref().is_none_or(|list| text(list).split(',').any(|one| is(one.trim())))
        };
        let names = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).map(text).unwrap_or_default();
        let simple = ["GET", "HEAD", "POST"].contains(&method.as_str());
        let mut refused: Vec<String> = Vec::new();
        if !simple && !listed(&self.methods, &method, false) {
            refused.push(format!("the method {method}"));
        }
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        refused
            .extend(names.filter(|name| !listed(&self.headers, name, true)).map(|name| format!("the header {name}")));
        let why = match (allowed, refused.is_empty()) {
            (true, true) => format!("a preflight: pages of {origin} may ask so"),
            (true, false) => format!("a preflight: pages of {origin} may ask, but not with {}", refused.join(", ")),
            (false, _) => format!("a preflight: pages of {origin} may not ask"),
        };
        json!({"decision": "answered", "status": 204, "why": why})
    }
}
