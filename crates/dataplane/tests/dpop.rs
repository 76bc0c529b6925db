//! Tokens with proofs of possession (RFC 9449) as clients send them and as thieves do, through real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::door::{self, snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use aws_lc_rs::digest::{digest, SHA256};
use serde_json::{json, Map, Value};
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;

const SECRET: &str = "a secret that is long enough for HS256";
const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "PS256", "RS256"];

fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> SigningKey {
    SigningKey::from_pem(&rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem()).unwrap()
}

fn ec() -> SigningKey {
    key(&rcgen::PKCS_ECDSA_P256_SHA256)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn sign(key: &SigningKey, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", base64url::encode(header.to_string()), base64url::encode(claims.to_string()));
    let signature = key.sign(algorithm, signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url::encode(signature))
}

/// An access token of the issuer.
fn token(confirmation: Option<Value>) -> String {
    let mut claims = json!({"iss": "corp", "sub": "7", "aud": "shop", "exp": now() + 600, "scope": "read"});
    if let Some(confirmation) = confirmation {
        claims["cnf"] = confirmation;
    }
    sign(&SigningKey::from_secret(SECRET.as_bytes()).unwrap(), Algorithm::Hs256, &json!({"alg": "HS256"}), &claims)
}

fn bound_to(key: &SigningKey) -> String {
    token(Some(json!({"jkt": key.public().unwrap().thumbprint()})))
}

/// A proof, and what becomes of it before it is signed.
struct Proof<'a> {
    key: &'a SigningKey,
    algorithm: Algorithm,
    header: Value,
    claims: Value,
}

impl<'a> Proof<'a> {
    fn new(key: &'a SigningKey, token: &str, uri: &str) -> Self {
        let mut id = [0; 12];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        let algorithm = key.algorithms()[0];
        Self {
            key,
            algorithm,
            header: json!({"typ": "dpop+jwt", "alg": algorithm.name(), "jwk": key.public().unwrap().to_jwk()}),
            claims: json!({
                "jti": base64url::encode(id), "htm": "GET", "htu": uri, "iat": now(),
                "ath": base64url::encode(digest(&SHA256, token.as_bytes())),
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Map<String, Value>, &mut Map<String, Value>)) -> Self {
        change(self.header.as_object_mut().unwrap(), self.claims.as_object_mut().unwrap());
        self
    }

    fn text(&self) -> String {
        sign(self.key, self.algorithm, &self.header, &self.claims)
    }
}

fn dpop(required: bool, nonce: Value) -> Value {
    json!({"required": required, "algorithms": ALGORITHMS, "max_age_s": 60, "nonce": nonce})
}

fn jwt(parts: Value) -> Value {
    let mut settings = json!({
        "issuers": ["corp"], "audience": ["shop"], "types": [], "skew_s": 5, "required": {}, "max_bytes": 4096, "forward": false,
        "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}},
    });
    for (name, part) in parts.as_object().unwrap() {
        settings[name] = part.clone();
    }
    json!({"jwt": settings})
}

struct Shop {
    door: Door,
    endpoint: Endpoint,
}

fn settings(endpoint: &Endpoint, trusted: &[&str]) -> Value {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(65_536);
    snapshot["listeners"]["public"]["trusted_proxies"] = json!(trusted);
    snapshot["issuers"] = json!({"corp": {"issuer": "corp", "algorithms": ["HS256"], "jwks": null, "public_keys": [],
        "secret": SECRET}});
    for (path, parts) in [
        ("/required", json!({"dpop": dpop(true, Value::Null)})),
        ("/optional", json!({"dpop": dpop(false, Value::Null)})),
        ("/forward", json!({"dpop": dpop(false, Value::Null), "forward": true})),
        ("/nonce", json!({"dpop": dpop(true, json!({"every_s": 3600, "secrets": []}))})),
        (
            "/shared",
            json!({"dpop": dpop(true, json!({"every_s": 1_000_000_000, "secrets": ["one secret of all gateways, long"]}))}),
        ),
        ("/off", json!({})),
    ] {
        let mut route = snapshot["routes"]["all"].clone();
        route["match"]["path"] = json!(path);
        route["policies"] = json!({
            "authenticate": {"any": [jwt(parts)], "resource_metadata": "https://api.example/.well-known/x"},
            "authorize": {"must": {"scopes": ["read"]}, "any": [], "none": [], "opa": null},
        });
        snapshot["routes"][path.trim_start_matches('/')] = route;
    }
    snapshot
}

impl Shop {
    fn open(trusted: &[&str]) -> Self {
        let endpoint = Endpoint::answering(OK);
        Self { door: Door::open(settings(&endpoint, trusted)), endpoint }
    }

    fn ask(&self, path: &str, fields: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.door.address).unwrap();
        stream.set_read_timeout(Some(door::PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: Shop.example\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn prove(&self, path: &str, token: &str, proof: &Proof<'_>) -> (u16, String) {
        self.ask(path, &format!("Authorization: DPoP {token}\r\nDPoP: {}\r\n", proof.text()))
    }
}

fn challenges(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("www-authenticate: ")).collect()
}

#[test]
fn a_proof_of_every_algorithm_opens_what_its_key_is_bound_to() {
    let shop = Shop::open(&[]);
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256] {
        let key = key(kind);
        let token = bound_to(&key);
        for path in ["/required", "/optional"] {
            for uri in [format!("http://shop.example{path}"), format!("HTTP://SHOP.example:80{path}?a=1")] {
                let (status, answer) = shop.prove(path, &token, &Proof::new(&key, &token, &uri));
                assert_eq!(status, 200, "{answer}");
            }
        }
    }
    let seen = shop.endpoint.text().to_ascii_lowercase();
    assert!(seen.contains("x-consumer-id: corp/7") && !seen.contains("dpop"), "{seen}");
    let key = ec();
    let token = bound_to(&key);
    assert_eq!(shop.prove("/forward", &token, &Proof::new(&key, &token, "http://shop.example/forward")).0, 200);
    let seen = shop.endpoint.text();
    assert!(seen.contains(&format!("DPoP {token}")) && !seen.to_ascii_lowercase().contains("\ndpop:"), "{seen}");
    shop.door.server.stop();
}

#[test]
fn a_stolen_token_or_proof_is_worth_nothing() {
    let shop = Shop::open(&[]);
    let (own, thief) = (ec(), ec());
    let (token, other) = (bound_to(&own), token(Some(json!({"jkt": own.public().unwrap().thumbprint(), "a": 1}))));
    let uri = "http://shop.example/required";
    let proof = || Proof::new(&own, &token, uri);
    let right = proof();
    assert_eq!(shop.prove("/required", &token, &right).0, 200);

    let secret = SigningKey::from_secret(&[7; 64]).unwrap();
    let mut private = own.public().unwrap().to_jwk();
    private["d"] = json!(base64url::encode([1; 32]));
    let symmetric = json!({"kty": "oct", "k": base64url::encode([7; 64])});
    let p384 = key(&rcgen::PKCS_ECDSA_P384_SHA384);
    let bent = vec![
        ("replayed", right),
        ("another key", Proof::new(&thief, &token, uri)),
        ("another key's signature", Proof { key: &thief, ..proof() }),
        ("another method", proof().with(|_, claims| drop(claims.insert("htm".into(), json!("POST"))))),
        ("method in lower case", proof().with(|_, claims| drop(claims.insert("htm".into(), json!("get"))))),
        ("another path", Proof::new(&own, &token, "http://shop.example/optional")),
        ("another host", Proof::new(&own, &token, "http://evil.example/required")),
        ("another scheme", Proof::new(&own, &token, "https://shop.example/required")),
        ("another token", Proof::new(&own, &other, uri)),
        ("no ath", proof().with(|_, claims| drop(claims.remove("ath")))),
        ("no htm", proof().with(|_, claims| drop(claims.remove("htm")))),
        ("no htu", proof().with(|_, claims| drop(claims.remove("htu")))),
        ("no jti", proof().with(|_, claims| drop(claims.remove("jti")))),
        ("empty jti", proof().with(|_, claims| drop(claims.insert("jti".into(), json!(""))))),
        ("jti a number", proof().with(|_, claims| drop(claims.insert("jti".into(), json!(7))))),
        ("endless jti", proof().with(|_, claims| drop(claims.insert("jti".into(), json!("a".repeat(2000)))))),
        ("no iat", proof().with(|_, claims| drop(claims.remove("iat")))),
        ("old", proof().with(|_, claims| drop(claims.insert("iat".into(), json!(now() - 70))))),
        ("of the future", proof().with(|_, claims| drop(claims.insert("iat".into(), json!(now() + 60))))),
        ("nonce a number", proof().with(|_, claims| drop(claims.insert("nonce".into(), json!(7))))),
        ("another typ", proof().with(|header, _| drop(header.insert("typ".into(), json!("JWT"))))),
        ("no typ", proof().with(|header, _| drop(header.remove("typ")))),
        ("no jwk", proof().with(|header, _| drop(header.remove("jwk")))),
        (
            "jwk elsewhere",
            proof().with(|header, _| {
                let jwk = header.remove("jwk").unwrap();
                header.insert("jku".into(), jwk);
            }),
        ),
        ("private jwk", proof().with(|header, _| drop(header.insert("jwk".into(), private)))),
        (
            "jwk of another",
            proof().with(|header, _| drop(header.insert("jwk".into(), thief.public().unwrap().to_jwk()))),
        ),
        ("crit", proof().with(|header, _| drop(header.insert("crit".into(), json!(["x"]))))),
        (
            "symmetric",
            Proof { key: &secret, algorithm: Algorithm::Hs256, ..proof() }.with(|header, _| {
                header.insert("alg".into(), json!("HS256"));
                header.insert("jwk".into(), symmetric);
            }),
        ),
        (
            "public key as secret",
            Proof { key: &secret, algorithm: Algorithm::Hs256, ..proof() }.with(|header, _| {
                header.insert("alg".into(), json!("HS256"));
            }),
        ),
        ("none", proof().with(|header, _| drop(header.insert("alg".into(), json!("none"))))),
        ("alg not taken", Proof::new(&p384, &bound_to(&p384), uri)),
        ("huge", proof().with(|_, claims| drop(claims.insert("a".into(), json!("a".repeat(9000)))))),
    ];
    for (name, proof) in bent {
        let (status, answer) = shop.prove("/required", &token, &proof);
        assert_eq!(status, 401, "{name}: {answer}");
        let error = if name == "another key" { "invalid_token" } else { "invalid_dpop_proof" };
        let expected = format!(
            "DPoP realm=\"stagedoor\", algs=\"ES256 EdDSA Ed25519 PS256 RS256\", error=\"{error}\", \
             resource_metadata=\"https://api.example/.well-known/x\""
        );
        assert_eq!(challenges(&answer), [expected], "{name}");
    }
    let (first, second) = (proof().text(), proof().text());
    for fields in
        [String::new(), format!("DPoP: {first}\r\nDPoP: {second}\r\n"), format!("DPoP: {first}, {second}\r\n")]
    {
        let (status, answer) = shop.ask("/required", &format!("Authorization: DPoP {token}\r\n{fields}"));
        assert!(status == 401 && answer.contains("error=\"invalid_dpop_proof\""), "{answer}");
    }
    // None of the bent ones was entered: they are wrong for their own reasons.
    assert_eq!(shop.prove("/required", &token, &proof()).0, 200);
    shop.door.server.stop();
}

#[test]
fn a_bound_token_is_no_bearer_token_and_an_unbound_one_needs_no_proof_where_that_is_optional() {
    let shop = Shop::open(&[]);
    let own = ec();
    let (bound, plain) = (bound_to(&own), token(None));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for path in ["/required", "/optional", "/off"] {
        let (status, answer) = shop.ask(path, &bearer(&bound));
        assert!(status == 401 && answer.contains("error=\"invalid_token\""), "{path}: {answer}");
        let proof = Proof::new(&own, &bound, &format!("http://shop.example{path}"));
        let (status, _) = shop.ask(path, &format!("{}DPoP: {}\r\n", bearer(&bound), proof.text()));
        assert_eq!(status, 401, "{path}: the proof does not make it one");
    }
    assert_eq!([shop.ask("/required", &bearer(&plain)).0, shop.ask("/optional", &bearer(&plain)).0], [401, 200]);
    let (status, answer) = shop.prove("/optional", &plain, &Proof::new(&own, &plain, "http://shop.example/optional"));
    assert!(status == 401 && answer.contains("error=\"invalid_token\""), "not bound to the key: {answer}");
    // Both ways are named where both are open, and the error with the one that was taken.
    let (_, answer) = shop.ask("/optional", &bearer(&bound));
    let (bearer_challenge, dpop_challenge) = match challenges(&answer)[..] {
        [bearer, dpop] => (bearer, dpop),
        ref other => panic!("{other:?}"),
    };
    assert!(bearer_challenge.starts_with("Bearer realm=\"stagedoor\", error=\"invalid_token\", resource_metadata="));
    assert!(dpop_challenge.starts_with("DPoP realm=\"stagedoor\", algs=") && !dpop_challenge.contains("error="));
    // Where proofs are not taken, such a token is one that nobody knows.
    let (status, answer) = shop.prove("/off", &bound, &Proof::new(&own, &bound, "http://shop.example/off"));
    assert!(status == 401 && challenges(&answer).iter().all(|challenge| challenge.starts_with("Bearer ")), "{answer}");
    let (_, answer) = shop.ask("/required", "");
    assert!(challenges(&answer).iter().all(|challenge| challenge.starts_with("DPoP ") && !challenge.contains("error")));
    shop.door.server.stop();
}

#[test]
fn scopes_that_are_not_enough_are_told_in_the_way_that_is_open() {
    let endpoint = Endpoint::answering(OK);
    let mut settings = settings(&endpoint, &[]);
    for path in ["required", "optional"] {
        settings["routes"][path]["policies"]["authorize"]["must"] = json!({"scopes": ["write"]});
    }
    let shop = Shop { door: Door::open(settings), endpoint };
    let own = ec();
    let bound = bound_to(&own);
    for (path, way) in [("/required", "DPoP "), ("/optional", "Bearer ")] {
        let (status, answer) =
            shop.prove(path, &bound, &Proof::new(&own, &bound, &format!("http://shop.example{path}")));
        assert_eq!(status, 403, "{answer}");
        assert!(challenges(&answer)[0].starts_with(way) && answer.contains("error=\"insufficient_scope\""), "{answer}");
    }
    shop.door.server.stop();
}

#[test]
fn a_nonce_is_given_with_the_refusal_and_taken_then() {
    let shop = Shop::open(&[]);
    let own = ec();
    let bound = bound_to(&own);
    let nonce_of = |answer: &str| {
        answer.lines().find_map(|line| line.strip_prefix("dpop-nonce: ")).map(str::to_owned).unwrap_or_default()
    };
    for path in ["/nonce", "/shared"] {
        let proof = |nonce: Option<&str>| {
            Proof::new(&own, &bound, &format!("http://shop.example{path}")).with(|_, claims| {
                if let Some(nonce) = nonce {
                    claims.insert("nonce".into(), json!(nonce));
                }
            })
        };
        let (status, answer) = shop.prove(path, &bound, &proof(None));
        assert!(status == 401 && answer.contains("error=\"use_dpop_nonce\""), "{answer}");
        let nonce = nonce_of(&answer);
        let (status, answer) = shop.prove(path, &bound, &proof(Some(&nonce)));
        assert!(status == 200 && nonce_of(&answer).is_empty(), "{answer}");
        for wrong in ["", "guessed", &nonce[1..]] {
            let (status, answer) = shop.prove(path, &bound, &proof(Some(wrong)));
            assert!(status == 401 && nonce_of(&answer) == nonce, "{answer}");
        }
    }
    // A gateway with the same secret takes it, one without does not.
    let second = Shop::open(&[]);
    for (path, status) in [("/shared", 200), ("/nonce", 401)] {
        let (_, answer) = shop.prove(path, &bound, &Proof::new(&own, &bound, &format!("http://shop.example{path}")));
        let proof = Proof::new(&own, &bound, &format!("http://shop.example{path}"))
            .with(|_, claims| drop(claims.insert("nonce".into(), json!(nonce_of(&answer)))));
        assert_eq!(second.prove(path, &bound, &proof).0, status, "{path}");
    }
    shop.door.server.stop();
    second.door.server.stop();
}

#[test]
fn a_nonce_that_ages_is_followed_by_another() {
    let endpoint = Endpoint::answering(OK);
    let mut settings = settings(&endpoint, &[]);
    let nonce = json!({"every_s": 1, "secrets": []});
    settings["routes"]["nonce"]["policies"]["authenticate"]["any"] = json!([jwt(json!({"dpop": dpop(true, nonce)}))]);
    let shop = Shop { door: Door::open(settings), endpoint };
    let own = ec();
    let bound = bound_to(&own);
    let mut nonce = String::from("none");
    let mut followed = false;
    door::until("a nonce that is followed by another", || {
        let proof = Proof::new(&own, &bound, "http://shop.example/nonce")
            .with(|_, claims| drop(claims.insert("nonce".into(), json!(nonce))));
        let (status, answer) = shop.prove("/nonce", &bound, &proof);
        if let Some(next) = answer.lines().find_map(|line| line.strip_prefix("dpop-nonce: ")) {
            followed |= status == 200 && next != nonce;
            next.clone_into(&mut nonce);
        }
        followed
    });
    shop.door.server.stop();
}

#[test]
fn the_uri_is_the_one_that_the_client_sees_by_the_word_of_trusted_proxies_alone() {
    let (before, open) = (Shop::open(&["127.0.0.0/8"]), Shop::open(&[]));
    let own = ec();
    let bound = bound_to(&own);
    let told = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: api.example\r\n";
    for (shop, uri, status) in [
        (&before, "https://api.example/required", 200),
        (&before, "http://shop.example/required", 401),
        (&open, "https://api.example/required", 401),
        (&open, "http://shop.example/required", 200),
    ] {
        let proof = Proof::new(&own, &bound, uri).text();
        let (found, answer) = shop.ask("/required", &format!("Authorization: DPoP {bound}\r\nDPoP: {proof}\r\n{told}"));
        assert_eq!(found, status, "{uri}: {answer}");
    }
    // What a client writes before the proxy is not believed.
    let proof = Proof::new(&own, &bound, "https://evil.example/required").text();
    for hosts in [
        "X-Forwarded-Host: evil.example, api.example",
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Host: api.example",
    ] {
        let told = format!("Authorization: DPoP {bound}\r\nDPoP: {proof}\r\nX-Forwarded-Proto: https\r\n{hosts}\r\n");
        assert_eq!(before.ask("/required", &told).0, 401);
    }
    before.door.server.stop();
    open.door.server.stop();
}

#[test]
fn algorithms_that_prove_nothing_are_told_before_any_request() {
    let endpoint = Endpoint::answering(OK);
    let mut settings = settings(&endpoint, &[]);
    let wrong = json!({"required": true, "algorithms": ["HS256", "none"], "max_age_s": 60, "nonce": null});
    settings["routes"]["off"]["policies"]["authenticate"]["any"] = json!([jwt(json!({"dpop": wrong}))]);
    let errors =
        Program::compile(&serde_json::from_value(settings).unwrap(), &Shared::new(1)).err().expect("errors").concat();
    for name in ["HS256", "none"] {
        let expected = format!("dpop: algorithms: '{name}' is none with a public key that is supported");
        assert!(errors.contains(&expected), "{errors}");
    }
}
