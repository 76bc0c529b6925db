//! Signed requests as RFC 9421 has them, as attackers bend them, and as they come again.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::door::{snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use aws_lc_rs::digest::{digest, SHA256};
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::{json, Value};
use stagedoor_dataplane::keys::{Algorithm, SigningKey};

/// RFC 9421 appendix B.1.4 and B.1.5.
const ED25519: &str =
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";
const SHARED: &str = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
/// Longer than the examples are old.
const AGES: u64 = 4_000_000_000;

struct Keys(Vec<(&'static str, Algorithm, SigningKey)>);

fn keys() -> Keys {
    let new =
        |algorithm| SigningKey::from_pem(&rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem()).unwrap();
    Keys(vec![
        ("ed25519", Algorithm::EdDsa, new(&rcgen::PKCS_ED25519)),
        ("ecdsa-p256-sha256", Algorithm::Es256, new(&rcgen::PKCS_ECDSA_P256_SHA256)),
        ("ecdsa-p384-sha384", Algorithm::Es384, new(&rcgen::PKCS_ECDSA_P384_SHA384)),
        ("rsa-pss-sha512", Algorithm::Ps512, new(&rcgen::PKCS_RSA_SHA256)),
        ("rsa-v1_5-sha256", Algorithm::Rs256, new(&rcgen::PKCS_RSA_SHA256)),
        ("hmac-sha256", Algorithm::Hs256, SigningKey::from_secret(&[7; 32]).unwrap()),
    ])
}

fn settings(components: &[&str], max_age_s: u64, nonce: bool) -> Value {
    json!({"signature": {"components": components, "max_age_s": max_age_s, "skew_s": 30, "nonce": nonce, "tag": null,
        "max_bytes": 100}})
}

fn door(endpoint: &Endpoint, keys: &Keys) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(16_384);
    let own = keys.0.iter().map(|(name, _, key)| match key.public() {
        Some(public) => {
            json!({"id": name, "algorithm": name, "public_key": public.to_jwk().to_string(), "secret": null})
        }
        None => json!({"id": name, "algorithm": name, "public_key": null, "secret": STANDARD.encode([7; 32])}),
    });
    let own: Vec<Value> = own.collect();
    let consumer = |keys: Value| json!({"api_key_sha256": [], "groups": [], "signature_keys": keys});
    snapshot["consumers"]["partner"] = consumer(json!(own));
    snapshot["consumers"]["example"] = consumer(json!([
        {"id": "test-key-ed25519", "algorithm": "ed25519", "public_key": ED25519, "secret": null},
        {"id": "test-shared-secret", "algorithm": "hmac-sha256", "public_key": null, "secret": SHARED},
    ]));
    let policies = |settings: Value| json!({"authenticate": {"any": [settings]}});
    snapshot["routes"]["guarded"]["policies"] =
        policies(settings(&["@method", "@target-uri", "content-digest"], 300, true));
    snapshot["routes"]["foo"] = snapshot["routes"]["guarded"].clone();
    snapshot["routes"]["foo"]["match"]["path"] = json!("/foo");
    snapshot["routes"]["foo"]["policies"] = policies(settings(&[], AGES, false));
    Door::open(snapshot)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const COVERED: &str = r#"("@method" "@target-uri" "content-digest")"#;

/// A signed POST of `body`; `params` follow what is covered.
struct Signed {
    fields: String,
}

fn sign(key: &(&str, Algorithm, SigningKey), covered: &str, params: &str, body: &str) -> Signed {
    let (id, algorithm, key) = key;
    let content = format!("sha-256=:{}:", STANDARD.encode(digest(&SHA256, body.as_bytes())));
    let input = format!("{covered}{params};keyid=\"{id}\"");
    let mut base = String::new();
    for name in covered[1..covered.len() - 1].split(' ') {
        let value = match name {
            "\"@method\"" => "POST",
            "\"@target-uri\"" => "http://shop.example/guarded?a=b",
            _ => content.as_str(),
        };
        base.push_str(&format!("{name}: {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {input}"));
    let signature = STANDARD.encode(key.sign(*algorithm, base.as_bytes()).unwrap());
    Signed {
        fields: format!(
            "Content-Digest: {content}\r\nSignature-Input: sig={input}\r\nSignature: sig=:{signature}:\r\n"
        ),
    }
}

fn send(door: &Door, fields: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!(
        "POST /guarded?a=b HTTP/1.1\r\nHost: Shop.example:80\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n{body}"
    );
    door.client().ask(request.as_bytes()).status()
}

#[test]
fn the_examples_of_rfc_9421_are_verified() {
    let (endpoint, keys) = (Endpoint::answering(OK), keys());
    let door = door(&endpoint, &keys);
    let hmac = (
        r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
        "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    );
    let ed25519 = (
        r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    );
    let ask = |line: &str, (input, signature): (&str, &str)| {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: example.com\r\nDate: Tue, 20 Apr 2021 02:07:55 GMT\r\nContent-Type: application/json\r\n\
             Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\r\n\
             Content-Length: 18\r\nSignature-Input: {input}\r\nSignature: {signature}\r\n\r\n{{\"hello\": \"world\"}}"
        );
        door.client().ask(request.as_bytes()).status()
    };
    assert_eq!(ask("POST /foo?param=Value&Pet=dog", hmac), 200);
    assert_eq!(ask("POST /foo?param=Value&Pet=dog", ed25519), 200);
    assert_eq!(ask("PUT /foo?param=Value&Pet=dog", ed25519), 401);
    assert!(endpoint.text().to_lowercase().contains("x-consumer-id: example"));
}

#[test]
fn a_signature_of_every_algorithm_is_taken_once() {
    let (endpoint, keys) = (Endpoint::answering(OK), keys());
    let door = door(&endpoint, &keys);
    for key in &keys.0 {
        let signed = sign(key, COVERED, &format!(";created={};nonce=\"n\"", now()), "body");
        assert_eq!(send(&door, &signed.fields, "body"), 200, "{}", key.0);
        assert_eq!(send(&door, &signed.fields, "body"), 401, "a replay: {}", key.0);
    }
    let seen = endpoint.text().to_lowercase();
    assert!(seen.contains("x-consumer-id: partner") && !seen.contains("signature"), "{seen}");
    // Without content nothing of it need be signed.
    let signed = sign(&keys.0[0], r#"("@method" "@target-uri")"#, &format!(";created={};nonce=\"m\"", now()), "");
    assert_eq!(send(&door, &signed.fields, ""), 200);
}

#[test]
fn what_is_not_signed_as_it_stands_is_refused() {
    let (endpoint, keys) = (Endpoint::answering(OK), keys());
    let door = door(&endpoint, &keys);
    let (key, time) = (&keys.0[0], now());
    let with = |covered: &str, params: &str| sign(key, covered, params, "body").fields;
    let good = with(COVERED, &format!(";created={time};nonce=\"a\""));
    for (name, fields, body) in [
        ("nothing", String::new(), "body"),
        ("another body", good.clone(), "bodz"),
        ("another digest", good.replace("sha-256=:", "sha-256=:AAAA"), "body"),
        ("another nonce", good.replace("nonce=\"a\"", "nonce=\"b\""), "body"),
        ("another key", good.replace("keyid=\"ed25519\"", "keyid=\"ecdsa-p256-sha256\""), "body"),
        ("an unknown key", good.replace("keyid=\"ed25519\"", "keyid=\"nobody\""), "body"),
        ("no signature", good.replace("Signature: ", "X-Signature: "), "body"),
        ("no input", good.replace("Signature-Input: ", "X-Input: "), "body"),
        ("no dictionary", good.replace("sig=", "="), "body"),
        ("no nonce", with(COVERED, &format!(";created={time}")), "body"),
        ("no time", with(COVERED, ";nonce=\"a\""), "body"),
        ("too old", with(COVERED, &format!(";created={};nonce=\"a\"", time - 400)), "body"),
        ("of the future", with(COVERED, &format!(";created={};nonce=\"a\"", time + 400)), "body"),
        ("expired", with(COVERED, &format!(";created={time};expires={};nonce=\"a\"", time - 100)), "body"),
        ("another alg", with(COVERED, &format!(";created={time};nonce=\"a\";alg=\"hmac-sha256\"")), "body"),
        ("no digest", with(r#"("@method" "@target-uri")"#, &format!(";created={time};nonce=\"a\"")), "body"),
        ("no target", with(r#"("@method" "content-digest")"#, &format!(";created={time};nonce=\"a\"")), "body"),
        (
            "one twice",
            with(r#"("@method" "@method" "@target-uri" "content-digest")"#, &format!(";created={time};nonce=\"a\"")),
            "body",
        ),
    ] {
        assert_eq!(send(&door, &fields, body), 401, "{name}");
    }
    let long = "x".repeat(101);
    let signed = sign(key, COVERED, &format!(";created={time};nonce=\"c\""), &long);
    assert_eq!(send(&door, &signed.fields, &long), 413);
    assert_eq!(endpoint.requests(), 0);
    // It was the signature that was wrong, and none of the refused ones has used up its nonce.
    assert_eq!(send(&door, &good, "body"), 200);
}
