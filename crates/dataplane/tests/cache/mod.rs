//! The cache as clients and services see it, over real sockets.

mod attacks;
mod collapsing;
mod disk;
mod invalidating;
mod keeping;
mod keys;
mod partial;
mod storing;
mod using;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::door::{snapshot, Client, Door};
use crate::endpoint::Endpoint;
use crate::wire::{self, Kind, Message, Taken};
use serde_json::{json, Value};

fn policy(changes: Value) -> Value {
    let mut policy = json!({
        "query": "all", "vary_by": [], "forward": [], "share_consumers": false, "ttl_s": {}, "heuristic": false,
        "set_cookies": false, "object_bytes": 1_048_576, "variants": 8, "stale_while_revalidate_s": 0,
        "stale_if_error_s": 0, "client_control": true, "groups": [], "invalidates": [], "status": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

fn configured(endpoint: &Endpoint, changes: Value, workers: usize) -> Value {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["workers"] = json!(workers);
    snapshot["listeners"]["public"]["limits"]["connections"] = json!(5000);
    snapshot["routes"]["all"]["policies"]["cache"] = policy(changes);
    snapshot
}

fn door(endpoint: &Endpoint, changes: Value) -> Door {
    Door::open(configured(endpoint, changes, 1))
}

/// Answers each request by the function of its head and its number.
fn service(answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Endpoint {
    let number = AtomicUsize::new(0);
    Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let bytes = answer(&head, number.fetch_add(1, Ordering::SeqCst));
            if bytes.is_empty() || !connection.send(&bytes) {
                return;
            }
        }
    })
}

/// The answers in their order, the last for ever.
fn scripted(answers: Vec<Vec<u8>>) -> Endpoint {
    service(move |_, number| answers[number.min(answers.len() - 1)].clone())
}

fn answer(status: &str, fields: &str, content: &str) -> Vec<u8> {
    let fields: String =
        fields.split('|').filter(|field| !field.is_empty()).map(|field| format!("{field}\r\n")).collect();
    let length =
        if status.starts_with("304") { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
    format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n{content}").into_bytes()
}

fn ok(fields: &str, content: &str) -> Vec<u8> {
    answer("200 OK", fields, content)
}

fn ask(client: &mut Client, start: &str, fields: &str) -> Message {
    let fields: String =
        fields.split('|').filter(|field| !field.is_empty()).map(|field| format!("{field}\r\n")).collect();
    let host = if fields.to_ascii_lowercase().contains("host:") && !fields.contains("X-") {
        ""
    } else {
        "Host: shop.example\r\n"
    };
    let head = start.starts_with("HEAD");
    assert!(client.send(format!("{start} HTTP/1.1\r\n{host}{fields}\r\n").as_bytes()));
    loop {
        match wire::take(&client.unread, if head { Kind::HeadAnswer } else { Kind::Answer }, false) {
            Taken::Whole(message, taken) => {
                client.unread.drain(..taken);
                return *message;
            }
            Taken::Partial => client.read().unwrap(),
            Taken::Broken(reason) => panic!("{reason}"),
        }
    }
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.content).into_owned()
}

fn status(message: &Message) -> String {
    message.field("cache-status").unwrap_or_default()
}
