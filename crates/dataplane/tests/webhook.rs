//! Signed messages as their senders sign them, as attackers bend them, and as they come again.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::door::{snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use aws_lc_rs::hmac;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::json;

const NEW: [u8; 32] = [7; 32];
const OLD: [u8; 24] = [1; 24];
const BODY: &str = r#"{"type":"paid"}"#;

fn door(endpoint: &Endpoint) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    let secrets = [format!("whsec_{}", STANDARD.encode(NEW)), STANDARD.encode(OLD)];
    snapshot["consumers"]["payments"] = json!({"api_key_sha256": [], "groups": ["partners"]});
    snapshot["routes"]["guarded"]["policies"] = json!({"authenticate": {"any": [
        {"webhook": {"consumer": "payments", "secrets": secrets, "tolerance_s": 300, "max_bytes": 100}}]}});
    Door::open(snapshot)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signature(secret: &[u8], id: &str, time: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, format!("{id}.{time}.{body}").as_bytes())))
}

fn fields(id: &str, time: u64, signature: &str) -> String {
    format!("webhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: {signature}\r\n")
}

fn send(door: &Door, fields: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!(
        "POST /guarded HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n{body}"
    );
    door.client().ask(request.as_bytes()).status()
}

#[test]
fn a_message_is_taken_once_whichever_secret_signed_it() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let time = now();
    for (id, secret) in [("msg_1", &NEW[..]), ("msg_2", &OLD)] {
        let signed = signature(secret, id, time, BODY);
        let listed = format!("v1a,AAAA v1,AAAA {signed}");
        assert_eq!(send(&door, &fields(id, time, &listed), BODY), 200);
        assert_eq!(send(&door, &fields(id, time, &signed), BODY), 401, "a replay");
    }
    let seen = endpoint.text().to_lowercase();
    assert!(seen.contains("webhook-id: msg_1") && seen.contains("x-consumer-id: payments"), "{seen}");
    assert!(seen.ends_with(BODY) && !seen.contains("webhook-signature"), "{seen}");
    // Delivered anew: the same id, signed with another time.
    assert_eq!(send(&door, &fields("msg_1", time + 1, &signature(&NEW, "msg_1", time + 1, BODY)), BODY), 200);
}

#[test]
fn a_replay_is_known_to_the_next_program_too() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let (time, mut changed) = (now(), snapshot(endpoint.address));
    let message = fields("msg", time, &signature(&NEW, "msg", time, BODY));
    assert_eq!(send(&door, &message, BODY), 200);
    let secrets = [STANDARD.encode(NEW)];
    changed["consumers"]["payments"] = json!({"api_key_sha256": [], "groups": []});
    changed["routes"]["guarded"]["policies"] = json!({"authenticate": {"any": [
        {"webhook": {"consumer": "payments", "secrets": secrets, "tolerance_s": 300, "max_bytes": 100}}]}});
    door.server.apply(&serde_json::from_value(changed).unwrap()).unwrap();
    assert_eq!(send(&door, &message, BODY), 401);
}

#[test]
fn what_is_not_signed_as_it_stands_is_refused() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let time = now();
    let good = signature(&NEW, "msg", time, BODY);
    let old = time - 400;
    for (name, fields, body) in [
        ("nothing", String::new(), BODY),
        ("another body", fields("msg", time, &good), "{}"),
        ("another id", fields("msh", time, &good), BODY),
        ("another time", fields("msg", time + 1, &good), BODY),
        ("another version", fields("msg", time, &good.replace("v1,", "v2,")), BODY),
        ("no version", fields("msg", time, &good[3..]), BODY),
        ("cut short", fields("msg", time, &good[..good.len() - 4]), BODY),
        ("another secret", fields("msg", time, &signature(&[9; 32], "msg", time, BODY)), BODY),
        ("too old", fields("msg", old, &signature(&NEW, "msg", old, BODY)), BODY),
        ("of the future", fields("msg", time + 400, &signature(&NEW, "msg", time + 400, BODY)), BODY),
        ("no signature", format!("webhook-id: msg\r\nwebhook-timestamp: {time}\r\n"), BODY),
        ("no id", format!("webhook-timestamp: {time}\r\nwebhook-signature: {good}\r\n"), BODY),
        ("two ids", format!("webhook-id: msg\r\n{}", fields("msg", time, &good)), BODY),
        // The same text is signed where the id ends elsewhere.
        ("a full stop", fields(&format!("msg.{time}"), time, &signature(&NEW, &format!("msg.{time}"), time, "x")), "x"),
    ] {
        assert_eq!(send(&door, &fields, body), 401, "{name}");
    }
    let long = "x".repeat(101);
    assert_eq!(send(&door, &fields("msg", time, &signature(&NEW, "msg", time, &long)), &long), 413);
    assert_eq!(endpoint.requests(), 0);
}
