//! Transformations as cases write them, with what they leave out.

use serde_json::{json, Value};

pub fn request(policy: &Value) -> Value {
    json!({
        "method": policy["method"], "path": policy["path"], "query": changes(policy, "query"),
        "headers": changes(policy, "headers"), "content": content(policy),
    })
}

pub fn response(policy: &Value) -> Value {
    json!({
        "statuses": policy.get("statuses").unwrap_or(&json!([])), "status": policy["status"],
        "headers": changes(policy, "headers"), "content": content(policy),
        "problems": policy.get("problems").unwrap_or(&json!(false)),
    })
}

fn content(policy: &Value) -> Value {
    let given = |key: &str, default: Value| policy.get(key).cloned().unwrap_or(default);
    json!({
        "filter": policy["body"], "write": policy["write"], "body_bytes": given("most", json!(4096)),
        "refuse_other": given("refuse_other", json!(false)),
        "shape": {
            "pick": given("pick", json!([])), "deny": given("deny", json!([])), "rename": given("rename", json!({})),
            "mask": given("mask", json!([])),
        },
    })
}

fn changes(policy: &Value, key: &str) -> Value {
    let given = |part: &str, default: Value| policy[key].get(part).cloned().unwrap_or(default);
    json!({"remove": given("remove", json!([])), "set": given("set", json!({}))})
}
