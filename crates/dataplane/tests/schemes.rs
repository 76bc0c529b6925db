//! Several ways to prove who calls: any of them, all of them, or none at all.

use crate::door::{snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

const KEY: (&str, &str) = ("x-api-key", "key-of-web");
/// `web:right` and `app:right`.
const WEB: (&str, &str) = ("authorization", "Basic d2ViOnJpZ2h0");
const APP: (&str, &str) = ("authorization", "Basic YXBwOnJpZ2h0");
const BEARER: (&str, &str) = ("authorization", "Bearer abc");

fn door(endpoint: &Endpoint, authenticate: Value) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    let digest: String = Sha256::digest("key-of-web").iter().map(|byte| format!("{byte:02x}")).collect();
    let phc = bcrypt::hash("right", 4).unwrap();
    for (name, keys) in [("web", vec![digest]), ("app", vec![])] {
        let user = json!({"id": name, "username": name, "phc": phc});
        snapshot["consumers"][name] =
            json!({"api_key_sha256": keys, "groups": [], "scopes": ["read"], "basic": [user]});
    }
    snapshot["routes"]["guarded"]["policies"] = json!({"authenticate": authenticate});
    Door::open(snapshot)
}

/// The status, the challenges, and who the service was told it is.
fn ask(door: &Door, endpoint: &Endpoint, fields: &[(&str, &str)]) -> (u16, Vec<String>, Option<String>) {
    let before = endpoint.text().len();
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = door.client().ask(format!("GET /guarded HTTP/1.1\r\nhost: h\r\n{fields}\r\n").as_bytes());
    let challenges = answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    let challenges = challenges.map(|(_, value)| value.split(' ').next().unwrap().to_owned()).collect();
    let seen = endpoint.text()[before..].to_lowercase();
    let id = seen.lines().find_map(|line| line.strip_prefix("x-consumer-id: ")).map(str::to_owned);
    assert!(!seen.contains("x-api-key") && !seen.contains("authorization: basic"), "{seen}");
    (answer.status(), challenges, id)
}

fn schemes() -> Value {
    json!([{"api_key": {"header": "x-api-key", "query": null}}, {"basic": {"realm": "shop"}}])
}

#[test]
fn of_any_the_first_that_finds_its_credential_decides() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({"any": schemes()}));
    for (fields, status, consumer) in [
        (&[KEY][..], 200, Some("web")),
        (&[APP], 200, Some("app")),
        (&[KEY, APP], 200, Some("web")),
        (&[("x-api-key", "wrong"), APP], 401, None),
        (&[BEARER], 401, None),
        (&[], 401, None),
    ] {
        let (found, challenges, id) = ask(&door, &endpoint, fields);
        assert_eq!((found, id.as_deref()), (status, consumer), "{fields:?}");
        assert_eq!(challenges, if found == 401 { vec!["ApiKey", "Basic"] } else { vec![] }, "{fields:?}");
    }
}

/// A service may read another line than the gateway does.
#[test]
fn a_token_that_nobody_has_looked_at_goes_no_further() {
    let endpoint = Endpoint::answering(OK);
    let mut settings = snapshot(endpoint.address);
    let digest: String = Sha256::digest("key-of-web").iter().map(|byte| format!("{byte:02x}")).collect();
    settings["consumers"]["web"] = json!({"api_key_sha256": [digest], "groups": []});
    settings["issuers"] = json!({"corp": {"issuer": "https://login.example", "algorithms": ["HS256"], "jwks": null,
        "public_keys": [], "secret": "a secret that is long enough for HS256"}});
    settings["routes"]["guarded"]["policies"] = json!({"authenticate": {"any": [
        {"api_key": {"header": "x-api-key", "query": null}},
        {"jwt": {"issuers": ["corp"], "audience": [], "types": [], "skew_s": 5, "required": {}, "max_bytes": 4096,
            "forward": false, "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}}}},
    ]}});
    let door = Door::open(settings);
    for fields in [&[KEY, BEARER][..], &[KEY, ("authorization", "Digest a"), BEARER]] {
        assert_eq!(ask(&door, &endpoint, fields).0, 200, "{fields:?}");
        assert!(!endpoint.text().to_lowercase().contains("bearer"), "{fields:?}: {}", endpoint.text());
    }
}

#[test]
fn of_all_each_must_know_its_credential_and_none_another_consumer() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({"all": schemes()}));
    for (fields, status, consumer) in [
        (&[KEY, WEB][..], 200, Some("web")),
        (&[KEY, APP], 401, None),
        (&[KEY], 401, None),
        (&[WEB], 401, None),
        (&[KEY, BEARER], 401, None),
        (&[("x-api-key", "wrong"), WEB], 401, None),
        (&[], 401, None),
    ] {
        let (found, _, id) = ask(&door, &endpoint, fields);
        assert_eq!((found, id.as_deref()), (status, consumer), "{fields:?}");
    }
}

#[test]
fn only_who_presents_nothing_is_anonymous() {
    let endpoint = Endpoint::answering(OK);
    for mode in ["any", "all"] {
        let anonymous = json!({"groups": ["guests"], "scopes": ["look"], "plan": null});
        let door = door(&endpoint, json!({mode: schemes(), "anonymous": anonymous}));
        assert_eq!(ask(&door, &endpoint, &[]), (200, vec![], None), "{mode}");
        let seen = endpoint.text().to_lowercase();
        assert!(seen.contains("x-consumer-groups: guests\r\nx-consumer-scopes: look\r\n"), "{seen}");
        for fields in [&[("x-api-key", "wrong")][..], &[BEARER], &[("authorization", "Basic d2ViOndyb25n")]] {
            assert_eq!(ask(&door, &endpoint, fields).0, 401, "{mode} {fields:?}");
        }
    }
}

#[test]
fn those_who_are_nobody_are_counted_by_their_address() {
    let endpoint = Endpoint::answering(OK);
    let mut settings = snapshot(endpoint.address);
    settings["listeners"]["public"]["trusted_proxies"] = json!(["127.0.0.1"]);
    settings["plans"] = json!({"guest": {"rate_limit": [{"limit": 1, "per_ms": 3_600_000, "burst": 1}]}});
    settings["routes"]["guarded"]["policies"] = json!({"authenticate":
        {"any": schemes(), "anonymous": {"groups": [], "scopes": [], "plan": "guest"}}});
    let door = Door::open(settings);
    let from = |address: &str| {
        let request = format!("GET /guarded HTTP/1.1\r\nhost: h\r\nx-forwarded-for: {address}\r\n\r\n");
        door.client().ask(request.as_bytes()).status()
    };
    assert_eq!([from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2")], [200, 429, 200]);
}

#[test]
fn settings_that_let_nobody_or_anybody_in_are_errors() {
    let endpoint = Endpoint::answering(OK);
    let errors = |authenticate: Value| {
        let mut settings = snapshot(endpoint.address);
        settings["routes"]["guarded"]["policies"] = json!({"authenticate": authenticate});
        let settings = serde_json::from_value(settings).unwrap();
        let shared = stagedoor_dataplane::shared::Shared::new(1);
        stagedoor_dataplane::program::Program::compile(&settings, &shared).err().expect("errors")
    };
    for (authenticate, expected) in [
        (json!({}), "route 'guarded': authenticate: it lists no way to authenticate, so nobody could"),
        (
            json!({"any": schemes(), "all": schemes()}),
            "route 'guarded': authenticate: 'any' and 'all' do not go together",
        ),
        (
            json!({"any": schemes(), "anonymous": {"groups": [], "scopes": [], "plan": "gold"}}),
            "route 'guarded': authenticate: anonymous: plan: there is no plan 'gold'",
        ),
        (
            json!({"any": [{"basic": {"realm": "a\"b"}}]}),
            "route 'guarded': authenticate: basic: realm: it holds a quote, or what is not printable ASCII",
        ),
    ] {
        assert_eq!(errors(authenticate), [expected]);
    }
}
