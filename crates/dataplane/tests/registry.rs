//! Consumers of the registry at the door: effective at the next request, on connections that are open already.

use crate::door::{snapshot, Client, Door};
use crate::endpoint::{Endpoint, OK};
use aws_lc_rs::hmac;
use serde_json::{json, Value};

const SECRET: [u8; 32] = [7; 32];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key `sd_PREFIX_secret`, whose id is its prefix.
fn key(prefix: &str, more: Value) -> Value {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET), format!("sd_{prefix}_secret").as_bytes());
    let mut key = json!({"id": prefix, "prefix": prefix, "hmac_sha256": hex(mac.as_ref()), "expires": null,
        "routes": null, "networks": null});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key
}

fn update(door: &Door, consumers: Value, plans: Value) -> Result<(), Vec<String>> {
    let registry = json!({"hmac_key": hex(&SECRET), "consumers": consumers, "plans": plans});
    door.server.update_registry(&serde_json::from_value(registry).unwrap())
}

fn consumer(keys: Vec<Value>) -> Value {
    json!({"groups": ["staff"], "plan": null, "api_keys": keys})
}

fn status(client: &mut Client, prefix: &str) -> u16 {
    let request = format!("GET /guarded HTTP/1.1\r\nhost: h\r\nx-api-key: sd_{prefix}_secret\r\n\r\n");
    client.ask(request.as_bytes()).status()
}

#[test]
fn a_key_is_good_from_the_request_after_it_was_pushed_until_it_is_revoked() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    assert_eq!(status(&mut client, "one"), 401);
    update(&door, json!({"web": consumer(vec![key("one", json!({}))])}), json!({})).unwrap();
    assert_eq!(status(&mut client, "one"), 200);
    assert!(endpoint.text().contains("x-consumer-id: web\r\n"));
    assert!(!endpoint.text().contains("sd_one"), "the key is not for the service");
    assert_eq!(status(&mut client, "two"), 401);
    let used = door.server.shared.last_used.times();
    assert_eq!(used.keys().collect::<Vec<_>>(), ["one"]);
    // Rotation: both are good for a while.
    update(&door, json!({"web": consumer(vec![key("one", json!({})), key("two", json!({}))])}), json!({})).unwrap();
    assert_eq!((status(&mut client, "one"), status(&mut client, "two")), (200, 200));
    update(&door, json!({"web": consumer(vec![key("two", json!({}))])}), json!({})).unwrap();
    assert_eq!((status(&mut client, "one"), status(&mut client, "two")), (401, 200));
    let mut disabled = consumer(vec![key("two", json!({}))]);
    disabled["disabled"] = json!(true);
    update(&door, json!({"web": disabled}), json!({})).unwrap();
    assert_eq!(status(&mut client, "two"), 401);
}

#[test]
fn a_program_may_change_and_the_registry_stays() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    update(&door, json!({"web": consumer(vec![key("one", json!({}))])}), json!({})).unwrap();
    let mut client = door.client();
    assert_eq!(status(&mut client, "one"), 200);
    let mut other = snapshot(endpoint.address);
    other["routes"]["guarded"]["priority"] = json!(7);
    door.server.apply(&serde_json::from_value(other).unwrap()).unwrap();
    assert_eq!(status(&mut client, "one"), 200);
    assert_eq!(door.server.shared.last_used.times().len(), 1);
}

#[test]
fn a_key_is_good_only_where_and_as_long_as_it_may_be() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let keys = [
        ("past", json!({"expires": 1_000_000_000}), 401),
        ("future", json!({"expires": 99_999_999_999_u64}), 200),
        ("here", json!({"routes": ["guarded"]}), 200),
        ("elsewhere", json!({"routes": ["guard", "all"]}), 403),
        ("nowhere", json!({"routes": []}), 403),
        ("home", json!({"networks": ["::ffff:127.0.0.0/104"]}), 200),
        ("away", json!({"networks": ["10.0.0.0/8", "::1"]}), 403),
    ];
    let all = keys.iter().map(|(prefix, more, _)| key(prefix, more.clone())).collect();
    update(&door, json!({"web": consumer(all)}), json!({})).unwrap();
    let mut client = door.client();
    for (prefix, _, expected) in &keys {
        assert_eq!(status(&mut client, prefix), *expected, "{prefix}");
    }
    let answers = ["elsewhere", "away"].map(|prefix| {
        let request = format!("GET /guarded HTTP/1.1\r\nhost: h\r\nx-api-key: sd_{prefix}_secret\r\n\r\n");
        let mut problem: Value = serde_json::from_slice(&client.ask(request.as_bytes()).content).unwrap();
        problem.as_object_mut().unwrap().remove("request_id").unwrap();
        problem
    });
    assert_eq!(answers[0], answers[1], "what forbids it is not told");
    assert_eq!(door.server.shared.last_used.times().into_keys().collect::<Vec<_>>(), ["future", "here", "home"]);
}

#[test]
fn a_plan_counts_each_of_its_consumers_over_all_routes() {
    let endpoint = Endpoint::answering(OK);
    let mut both = snapshot(endpoint.address);
    both["routes"]["fixed"]["policies"] = both["routes"]["guarded"]["policies"].clone();
    let door = Door::open(both);
    let plan = |name: &str, prefix: &str| {
        let mut consumer = consumer(vec![key(prefix, json!({}))]);
        consumer["plan"] = json!(name);
        consumer
    };
    let rate = |limit: u64| json!({"rate_limit": [{"limit": limit, "per_ms": 3_600_000, "burst": limit}]});
    let consumers = json!({"web": plan("gold", "one"), "app": plan("gold", "two")});
    update(&door, consumers.clone(), json!({"gold": rate(2)})).unwrap();
    let mut client = door.client();
    let answer = |client: &mut Client, path: &str, prefix: &str| {
        client.ask(format!("GET {path} HTTP/1.1\r\nhost: h\r\nx-api-key: sd_{prefix}_secret\r\n\r\n").as_bytes())
    };
    let first = answer(&mut client, "/guarded", "one");
    assert_eq!(first.field("ratelimit").unwrap(), "\"plan/gold/0\";r=1;t=1800");
    assert_eq!(first.field("ratelimit-policy").unwrap(), "\"plan/gold/0\";q=2;w=3600");
    assert_eq!(answer(&mut client, "/fixed", "one").status(), 200);
    let refused = answer(&mut client, "/guarded", "one");
    assert_eq!((refused.status(), refused.field("retry-after").unwrap().as_str()), (429, "1800"));
    assert_eq!(answer(&mut client, "/guarded", "two").status(), 200);
    // Another registry with the same plan counts on.
    update(&door, consumers.clone(), json!({"gold": rate(2)})).unwrap();
    assert_eq!(status(&mut client, "one"), 429);
    let missing = update(&door, consumers, json!({})).unwrap_err();
    assert_eq!(missing[0], "consumer 'app': there is no plan 'gold'");
    assert_eq!(status(&mut client, "one"), 429, "what was refused has changed nothing");
}

#[test]
fn where_a_client_is_nobody_knows_from_the_client() {
    let endpoint = Endpoint::answering(OK);
    for (trusted, claimed, expected) in [
        (json!([]), "10.1.1.1", 403),
        (json!(["192.0.2.1"]), "10.1.1.1", 403),
        (json!(["127.0.0.1"]), "10.1.1.1", 200),
        (json!(["127.0.0.1"]), "::ffff:10.1.1.1", 200),
        (json!(["127.0.0.1"]), "10.1.1.1, 192.0.2.1", 403),
        (json!(["127.0.0.1"]), "10.1.1.1, unknown", 403),
    ] {
        let mut settings = snapshot(endpoint.address);
        settings["listeners"]["public"]["trusted_proxies"] = trusted.clone();
        let door = Door::open(settings);
        let inside = key("one", json!({"networks": ["10.0.0.0/8"]}));
        update(&door, json!({"web": consumer(vec![inside])}), json!({})).unwrap();
        for field in ["x-forwarded-for", "X-Forwarded-For"] {
            let request =
                format!("GET /guarded HTTP/1.1\r\nhost: h\r\nx-api-key: sd_one_secret\r\n{field}: {claimed}\r\n\r\n");
            assert_eq!(door.client().ask(request.as_bytes()).status(), expected, "{trusted} {claimed}");
        }
        let other = "GET /guarded HTTP/1.1\r\nhost: h\r\nx-api-key: sd_one_secret\r\nx_forwarded_for: 10.1.1.1\r\n\r\n";
        assert_eq!(door.client().ask(other.as_bytes()).status(), 403, "{trusted}");
    }
}

#[test]
fn a_plan_of_the_configuration_will_do_and_without_it_its_consumers_are_not_served() {
    let endpoint = Endpoint::answering(OK);
    let without = snapshot(endpoint.address);
    let mut with = without.clone();
    with["plans"] = json!({"gold": {"rate_limit": [{"limit": 9, "per_ms": 3_600_000, "burst": 9}]}});
    let door = Door::open(with.clone());
    let mut web = consumer(vec![key("one", json!({}))]);
    web["plan"] = json!("gold");
    update(&door, json!({"web": web}), json!({})).unwrap();
    let mut client = door.client();
    assert_eq!(status(&mut client, "one"), 200);
    door.server.apply(&serde_json::from_value(without).unwrap()).unwrap();
    assert_eq!(status(&mut client, "one"), 500, "nobody has said how much it may use");
    door.server.apply(&serde_json::from_value(with).unwrap()).unwrap();
    assert_eq!(status(&mut client, "one"), 200);
}
