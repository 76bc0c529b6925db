//! Requests that the gateway signs, verified by another gateway: HTTP message signatures and Standard Webhooks.

use crate::door::{snapshot, Door};
use crate::endpoint::{self, Connection, Endpoint, OK};
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::{json, Value};
use stagedoor_dataplane::keys::SigningKey;
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::snapshot::Snapshot;

const WEBHOOK: [&str; 2] =
    ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="];

fn signature(algorithm: &str, key: &str, secret: Option<&str>) -> Value {
    json!({"signature": {
        "key_id": algorithm, "algorithm": algorithm, "private_key": secret.map_or(json!(key), |_| Value::Null), "secret": secret,
        "components": ["@method", "@target-uri", "content-type", "x-absent"], "digest": "sha-256", "max_bytes": 100,
        "larger_undigested": false, "expires_s": 60, "nonce": true, "tag": "shop",
    }})
}

/// Each algorithm with its private key, and what verifies.
fn keys() -> Vec<(&'static str, String, Value)> {
    let new = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem();
    let pairs = [
        ("ed25519", new(&rcgen::PKCS_ED25519)),
        ("ecdsa-p256-sha256", new(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("ecdsa-p384-sha384", new(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("rsa-pss-sha512", new(&rcgen::PKCS_RSA_SHA256)),
        ("rsa-v1_5-sha256", new(&rcgen::PKCS_RSA_SHA256)),
    ];
    let mut keys: Vec<_> = pairs
        .into_iter()
        .map(|(name, pem)| {
            let jwk = SigningKey::from_pem(&pem).unwrap().public().unwrap().to_jwk().to_string();
            (name, pem, json!({"id": name, "algorithm": name, "public_key": jwk, "secret": null}))
        })
        .collect();
    let secret = STANDARD.encode([7; 32]);
    let shared = json!({"id": "hmac-sha256", "algorithm": "hmac-sha256", "public_key": null, "secret": secret});
    keys.push(("hmac-sha256", secret, shared));
    keys
}

/// A gateway that lets only signed requests through to the endpoint.
fn verifier(endpoint: &Endpoint, keys: &[Value], scheme: Value) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(16_384);
    snapshot["consumers"]["gateway"] = json!({"api_key_sha256": [], "groups": [], "signature_keys": keys});
    snapshot["routes"]["all"]["policies"]["authenticate"] = json!({"any": [scheme]});
    Door::open(snapshot)
}

fn signed_scheme() -> Value {
    json!({"signature": {"components": ["@method", "@target-uri", "content-digest"], "max_age_s": 60, "skew_s": 5,
        "nonce": true, "tag": "shop", "max_bytes": 100}})
}

fn signer(to: std::net::SocketAddr, credentials: Value) -> Door {
    let mut snapshot = snapshot(to);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(16_384);
    snapshot["clusters"]["shop"]["credentials"] = credentials;
    Door::open(snapshot)
}

const POST: &[u8] =
    b"POST /a?b=c%20d HTTP/1.1\r\nHost: Shop.example\r\nContent-Type: text/plain\r\nSignature: mine\r\n\
    Signature_Input: mine\r\nContent-Digest: mine\r\nContent-Length: 2\r\n\r\nhi";
const CHUNKED: &[u8] =
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nContent_Digest: mine\r\n\r\n";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_one_gateway_signs_another_one_verifies() {
    let (endpoint, keys) = (Endpoint::answering(OK), keys());
    let public: Vec<Value> = keys.iter().map(|(_, _, public)| public.clone()).collect();
    let door = verifier(&endpoint, &public, signed_scheme());
    for (algorithm, private, _) in &keys {
        let secret = (*algorithm == "hmac-sha256").then_some(private.as_str());
        let signer = signer(door.address, signature(algorithm, private, secret));
        for request in [POST, CHUNKED, GET, GET] {
            assert_eq!(signer.client().ask(request).status(), 200, "{algorithm}");
        }
        // Longer content than may be kept is refused, or goes without a digest where the configuration says so.
        let long = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}", "x".repeat(101));
        assert_eq!(signer.client().ask(long.as_bytes()).status(), 413, "{algorithm}");
    }
    assert!(!endpoint.text().contains("mine"));
    assert_eq!(door.client().ask(GET).status(), 401);
}

#[test]
fn a_signature_says_what_it_covers_and_no_more_than_is_there() {
    let endpoint = Endpoint::answering(OK);
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let mut credentials = signature("ed25519", &pem, None);
    assert_eq!(signer(endpoint.address, credentials.clone()).client().ask(POST).status(), 200);
    let seen = endpoint.text().to_lowercase();
    let covered = r#"signature-input: stagedoor=("@method" "@target-uri" "content-type" "content-digest");created="#;
    assert!(seen.contains(covered), "{seen}");
    for parameter in [";expires=", ";nonce=\"", ";keyid=\"ed25519\"", ";alg=\"ed25519\"", ";tag=\"shop\""] {
        assert!(seen.contains(parameter), "{parameter}: {seen}");
    }
    // SHA-256 of `hi`.
    assert!(endpoint.text().contains("sha-256=:j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ=:"), "{seen}");
    let settings = &mut credentials["signature"];
    (settings["digest"], settings["larger_undigested"]) = (Value::Null, json!(false));
    (settings["nonce"], settings["expires_s"], settings["tag"]) = (json!(false), Value::Null, Value::Null);
    let before = seen.len();
    assert_eq!(signer(endpoint.address, credentials.clone()).client().ask(CHUNKED).status(), 200);
    let bare = endpoint.text()[before..].to_lowercase();
    assert!(bare.contains("transfer-encoding: chunked") && !bare.contains("content-digest"), "it streams: {bare}");
    assert!(!bare.contains("nonce") && !bare.contains("expires") && !bare.contains("tag="), "{bare}");
    let settings = &mut credentials["signature"];
    (settings["digest"], settings["larger_undigested"]) = (json!("sha-512"), json!(true));
    let signer = signer(endpoint.address, credentials);
    let long = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}", "x".repeat(101));
    let before = endpoint.text().len();
    assert_eq!(signer.client().ask(long.as_bytes()).status(), 200);
    let undigested = endpoint.text()[before..].to_lowercase();
    assert!(undigested.contains("signature-input") && !undigested.contains("content-digest"), "{undigested}");
    assert_eq!(signer.client().ask(POST).status(), 200);
    assert!(endpoint.text()[before..].contains("sha-512=:"));
}

/// Signatures of the requests that came, in turn.
fn lines(endpoint: &Endpoint, name: &str) -> Vec<String> {
    let text = endpoint.text();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

/// Answers each connection's first request with 503, which is tried again.
fn failing_once() -> Endpoint {
    Endpoint::start(|mut connection: Connection| {
        let mut first = connection.index == 0;
        while connection.request().is_some() {
            let failed = std::mem::take(&mut first);
            connection.send(if failed { b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n" } else { OK });
        }
    })
}

fn retrying(to: std::net::SocketAddr, credentials: Value) -> Door {
    let mut snapshot = snapshot(to);
    snapshot["clusters"]["shop"]["credentials"] = credentials;
    snapshot["clusters"]["shop"]["retry"]["attempts"] = json!(2);
    snapshot["clusters"]["shop"]["retry"]["statuses"] = json!([503]);
    Door::open(snapshot)
}

#[test]
fn each_attempt_is_signed_anew() {
    let endpoint = failing_once();
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let door = retrying(endpoint.address, signature("ed25519", &pem, None));
    assert_eq!(door.client().ask(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").status(), 200);
    let inputs = lines(&endpoint, "signature-input");
    assert_eq!(inputs.len(), 2);
    assert_ne!(inputs[0], inputs[1], "the nonce is another");
    assert_eq!(lines(&endpoint, "content-digest").len(), 2);
}

#[test]
fn a_message_keeps_its_id_over_its_attempts_and_every_secret_signs() {
    let endpoint = failing_once();
    let door = retrying(endpoint.address, json!({"webhook": {"secrets": WEBHOOK, "max_bytes": 100}}));
    let put =
        b"PUT /a HTTP/1.1\r\nHost: a\r\nWebhook-Id: mine\r\nwebhook_signature: mine\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(door.client().ask(put).status(), 200);
    let ids = lines(&endpoint, "webhook-id");
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    assert!(ids[0].starts_with("msg_") && !endpoint.text().contains("mine"), "{ids:?}");
    assert!(lines(&endpoint, "webhook-signature").iter().all(|each| each.matches("v1,").count() == 2));
    let long = format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n{}", "x".repeat(101));
    assert_eq!(door.client().ask(long.as_bytes()).status(), 413);
}

#[test]
fn a_webhook_is_taken_by_those_who_know_one_of_the_secrets() {
    let endpoint = Endpoint::answering(OK);
    for (secret, status) in [(WEBHOOK[0], 200), (WEBHOOK[1], 200), ("whsec_BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF", 401)] {
        let scheme =
            json!({"webhook": {"consumer": "gateway", "secrets": [secret], "tolerance_s": 60, "max_bytes": 100}});
        let door = verifier(&endpoint, &[], scheme);
        let signer = signer(door.address, json!({"webhook": {"secrets": WEBHOOK, "max_bytes": 100}}));
        for request in [POST, CHUNKED, POST] {
            assert_eq!(signer.client().ask(request).status(), status, "{secret}");
        }
    }
}

#[test]
fn keys_that_do_not_fit_are_found_before_anything_is_served() {
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let short = STANDARD.encode([7; 16]);
    let with = |change: fn(&mut Value)| {
        let mut credentials = signature("ed25519", &ed25519, None);
        change(&mut credentials["signature"]);
        credentials
    };
    for (credentials, expected) in [
        (signature("rsa-pss-sha512", &ed25519, None), "private_key: it is not of the type"),
        (signature("hmac-sha256", "", Some(&short)), "secret: it is a secret of 16 bytes"),
        (signature("hmac-sha256", "", Some("*")), "secret: it is not base64"),
        (signature("md5", &ed25519, None), "'md5' is none of RFC 9421"),
        (signature("ed25519", "nothing", None), "private_key: it is not in PEM"),
        (with(|settings| settings["components"] = json!(["content-digest"])), "'content-digest' is set by"),
        (with(|settings| settings["components"] = json!(["@status"])), "'@status' is no component"),
        (json!({"webhook": {"secrets": ["whsec_c2hvcnQ="], "max_bytes": 1}}), "secrets[0] is not whsec_"),
    ] {
        let mut snapshot = snapshot(endpoint::nobody());
        snapshot["clusters"]["shop"]["credentials"] = credentials;
        let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
        let wrong = Program::compile(&snapshot, &Shared::new(1)).err().unwrap().join("\n");
        assert!(wrong.contains("cluster 'shop': credentials.") && wrong.contains(expected), "{expected}: {wrong}");
        assert!(!wrong.contains(&short) && !wrong.contains("PRIVATE"), "{wrong}");
    }
}
