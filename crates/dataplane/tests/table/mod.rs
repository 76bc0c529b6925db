//! Cases as JSON, where messages are made of others: each an object that says what is so (`so`), what is asked and
//! answered, and what comes of it (`expect`). The words that several tables share are read here.

use serde_json::Value;

use crate::door::Door;
use crate::wire::{self, Message};

pub type Cases = Vec<(String, Value)>;

/// Each case by a host of its own, so that all of them are served by one door.
pub fn read(table: &str) -> Cases {
    let cases: Vec<Value> = serde_json::from_str(table).expect("a table");
    cases.into_iter().enumerate().map(|(index, case)| (format!("case{index}"), case)).collect()
}

/// The host that a service is asked for; its answer hangs on it.
pub fn host(head: &str) -> &str {
    head.lines().find_map(|line| line.strip_prefix("host: ").or(line.strip_prefix("Host: "))).expect("a host")
}

/// `{name: value}` or `{name: [value, …]}` as lines of a head.
pub fn fields(headers: &Value) -> String {
    let mut text = String::new();
    for (name, value) in headers.as_object().into_iter().flatten() {
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            text += &format!("{name}: {}\r\n", value.as_str().expect("a field's value"));
        }
    }
    text
}

/// A service's answer: `status`, `headers`, `text`, and `type`, which is JSON unless the case says otherwise.
pub fn answer(answer: &Value, head_only: bool) -> String {
    let content = answer.get("text").and_then(Value::as_str).unwrap_or_default();
    let status = answer.get("status").and_then(Value::as_u64).unwrap_or(200);
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or("application/json");
    let sent = if head_only { "" } else { content };
    let fields = fields(&answer["headers"]);
    format!("HTTP/1.1 {status} x\r\n{fields}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{sent}", content.len())
}

/// The answer to a request: `line` and `headers`, with this content.
pub fn ask(door: &Door, host: &str, request: &Value, content: &str) -> Message {
    let line = request.get("line").and_then(Value::as_str).unwrap_or("GET /");
    let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}", fields(&request["headers"]));
    if !content.is_empty() {
        text += &format!("Content-Length: {}\r\n", content.len());
    }
    let mut client = door.client();
    assert!(client.send(format!("{text}\r\n{content}").as_bytes()));
    let (raw, _) = client.rest();
    let kind = if line.starts_with("HEAD") { wire::Kind::HeadAnswer } else { wire::Kind::Answer };
    let wire::Taken::Whole(answer, _) = wire::take(&raw, kind, true) else { panic!("{line}: {raw:?}") };
    *answer
}

/// `status` (200), `text` and `headers` of an answer; its content as text.
pub fn hold(title: &str, expected: &Value, answer: &Message) -> String {
    let told = String::from_utf8_lossy(&answer.content).into_owned();
    let status = expected.get("status").and_then(Value::as_u64).unwrap_or(200);
    assert_eq!(u64::from(answer.status()), status, "{title}: {told}");
    if let Some(text) = expected.get("text") {
        assert_eq!(told, text.as_str().unwrap(), "{title}");
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        assert_eq!(answer.field(name).as_deref(), value.as_str(), "{title}: {name}");
    }
    told
}

/// `line`, `text` and `headers` of what a service was sent; a field that is null was not there.
pub fn hold_sent(title: &str, expected: &Value, head: &str, content: &str) {
    if let Some(line) = expected.get("line") {
        assert_eq!(head.split(" HTTP/1.1").next(), line.as_str(), "{title}");
    }
    if let Some(text) = expected.get("text") {
        assert_eq!(content, text.as_str().unwrap(), "{title}");
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        let field = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value));
        assert_eq!(field, value.as_str(), "{title}: {name} of {head}");
    }
}
