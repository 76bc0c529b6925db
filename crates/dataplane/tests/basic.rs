//! Names and passwords at the door (RFC 7617): who is let in, what guessing costs, and what it is bounded by.

use std::time::Instant;

use crate::door::{snapshot, Client, Door};
use crate::endpoint::{Endpoint, OK};
use crate::wire::Message;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::Engine as _;
use serde_json::{json, Value};

const CHALLENGE: &str = "Basic realm=\"shop\", charset=\"UTF-8\"";

fn argon2id(password: &str, memory: u32, passes: u32) -> String {
    let params = argon2::Params::new(memory, passes, 1, Some(32)).unwrap();
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut output = [0; 32];
    argon2.hash_password_into(password.as_bytes(), b"somesalt", &mut output).unwrap();
    let (salt, output) = (STANDARD_NO_PAD.encode(b"somesalt"), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={memory},t={passes},p=1${salt}${output}")
}

fn user(name: &str, phc: &str) -> Value {
    json!({"id": format!("{name}-login"), "username": name, "phc": phc})
}

/// `/guarded` wants a name and a password.
fn guarded(endpoint: &Endpoint, users: &[(&str, Value)]) -> Value {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["routes"]["guarded"]["policies"]["authenticate"] = json!({"any": [{"basic": {"realm": "shop"}}]});
    for (consumer, user) in users {
        snapshot["consumers"][consumer] = json!({"api_key_sha256": [], "groups": ["staff"], "basic": [user]});
    }
    snapshot
}

fn request(credential: &str) -> String {
    format!("GET /guarded HTTP/1.1\r\nhost: h\r\nauthorization: Basic {}\r\n\r\n", STANDARD.encode(credential))
}

fn ask(client: &mut Client, credential: &str) -> Message {
    client.ask(request(credential).as_bytes())
}

#[test]
fn the_right_password_lets_in_and_goes_no_further() {
    let endpoint = Endpoint::answering(OK);
    let bcrypt = bcrypt::hash("geheim", 4).unwrap();
    let users = [("web", user("zoë", &argon2id("pass:wörd", 256, 1))), ("app", user("app", &bcrypt))];
    let door = Door::open(guarded(&endpoint, &users));
    let mut client = door.client();
    assert_eq!(ask(&mut client, "zoë:pass:wörd").status(), 200);
    let seen = endpoint.text().to_lowercase();
    assert!(seen.contains("x-consumer-id: web\r\nx-consumer-groups: staff\r\n"), "{seen}");
    assert!(seen.contains("x-consumer-credential: zo%c3%ab-login\r\n"), "{seen}");
    assert!(!seen.contains("authorization"), "{seen}");
    // A second time it is remembered.
    assert_eq!(ask(&mut client, "zoë:pass:wörd").status(), 200);
    assert_eq!(ask(&mut client, "app:geheim").status(), 200);
    assert_eq!(door.server.shared.last_used.times().into_keys().collect::<Vec<_>>(), ["app-login", "zoë-login"]);
}

#[test]
fn whatever_is_wrong_with_a_credential_the_answer_is_the_same() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::open(guarded(&endpoint, &[("web", user("web", &argon2id("right", 256, 1)))]));
    let mut client = door.client();
    let mut problems = Vec::new();
    for credential in ["web:wrong", "nobody:right", "web:", ":right", "web", "WEB:right"] {
        let answer = ask(&mut client, credential);
        assert_eq!((answer.status(), answer.field("www-authenticate").as_deref()), (401, Some(CHALLENGE)));
        let mut problem: Value = serde_json::from_slice(&answer.content).unwrap();
        problem.as_object_mut().unwrap().remove("request_id");
        problems.push(problem);
    }
    problems.dedup();
    assert_eq!(problems.len(), 1, "{problems:?}");
    for (field, detail) in [
        ("", "The request carries no credential"),
        ("authorization: Basic !!!\r\n", "The credential is not valid"),
        ("authorization: Bearer abc\r\n", "The credential is not valid"),
        ("authorization: Basic YTpi\r\nauthorization: Basic YTpi\r\n", "The request carries more than one credential"),
    ] {
        let answer = client.ask(format!("GET /guarded HTTP/1.1\r\nhost: h\r\n{field}\r\n").as_bytes());
        assert_eq!((answer.status(), answer.field("www-authenticate").as_deref()), (401, Some(CHALLENGE)));
        let problem: Value = serde_json::from_slice(&answer.content).unwrap();
        assert_eq!(problem["detail"], detail, "{field}");
    }
    assert!(endpoint.text().is_empty());
}

#[test]
fn guessing_at_a_name_is_bounded_and_others_are_not_held_up() {
    let endpoint = Endpoint::answering(OK);
    let users = [("web", user("web", &argon2id("right", 256, 1))), ("app", user("app", &argon2id("other", 256, 1)))];
    let door = Door::open(guarded(&endpoint, &users));
    let mut client = door.client();
    assert_eq!(ask(&mut client, "app:other").status(), 200);
    for name in ["web", "nobody"] {
        let statuses: Vec<u16> =
            (0..7).map(|number| ask(&mut client, &format!("{name}:guess{number}")).status()).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429], "{name}");
    }
    let refused = ask(&mut client, "web:right");
    assert_eq!(refused.status(), 429, "the right password is not told from a wrong one any more");
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(ask(&mut client, "app:other").status(), 200);
    // Spraying: few guesses each at many names.
    let statuses: Vec<u16> = (0..15).map(|number| ask(&mut client, &format!("user{number}:a")).status()).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 5]);
    assert_eq!(ask(&mut client, "app:other").status(), 200, "who has been verified is remembered");
}

#[test]
fn a_changed_password_is_the_only_one_from_the_next_request_on() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::open(guarded(&endpoint, &[]));
    let update = |password: &str| {
        let credential = json!({"username": "web", "phc": argon2id(password, 256, 1)});
        let consumer = json!({"groups": [], "plan": null, "basic": [{"id": "web/1", "credential": credential}]});
        let registry = json!({"hmac_key": "00".repeat(32), "consumers": {"web": consumer}});
        door.server.update_registry(&serde_json::from_value(registry).unwrap()).unwrap();
    };
    let mut client = door.client();
    update("first");
    assert_eq!((ask(&mut client, "web:first").status(), ask(&mut client, "web:first").status()), (200, 200));
    update("second");
    assert_eq!((ask(&mut client, "web:first").status(), ask(&mut client, "web:second").status()), (401, 200));
}

#[test]
fn more_than_can_be_verified_in_time_is_refused_and_the_rest_of_the_gateway_goes_on() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::open(guarded(&endpoint, &[("web", user("web", &argon2id("right", 64 * 1024, 4)))]));
    let start = Instant::now();
    let mut clients: Vec<Client> = (0..90).map(|_| door.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert!(client.send(request(&format!("user{number}:a")).as_bytes()));
    }
    // The worker itself is free meanwhile.
    assert_eq!(door.client().ask(b"GET /fixed HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
    let answers: Vec<Message> = clients.iter_mut().map(Client::answer).collect();
    let count = |status: u16| answers.iter().filter(|answer| answer.status() == status).count();
    let refused = answers.iter().find(|answer| answer.status() == 503).expect("one too many");
    assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
    assert_eq!(count(401) + count(429) + count(503), 90);
    // One address may fail so often, however many attempts it has made at once; and once more every ten seconds.
    let late = usize::try_from(start.elapsed().as_secs() / 10).unwrap();
    assert!((20..=20 + late).contains(&count(401)), "{} in {:?}", count(401), start.elapsed());
}
