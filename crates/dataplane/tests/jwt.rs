//! Bearer tokens as issuers sign them and as attackers bend them, through real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::server::Server;
use stagedoor_dataplane::shared::Shared;

const SECRET: &str = "a secret of more than sixty-four bytes, so that it is enough for HS512 too";

struct Keys {
    rsa: SigningKey,
    ec: SigningKey,
    ed: SigningKey,
    secret: SigningKey,
    public_pem: String,
}

fn keys() -> Keys {
    let pem = |algorithm| rcgen::KeyPair::generate_for(algorithm).expect("a key");
    let (rsa, ec, ed) = (pem(&rcgen::PKCS_RSA_SHA256), pem(&rcgen::PKCS_ECDSA_P256_SHA256), pem(&rcgen::PKCS_ED25519));
    let read =
        |pair: &rcgen::KeyPair, id: &str| SigningKey::from_pem(&pair.serialize_pem()).expect("a key").with_id(Some(id));
    Keys {
        rsa: read(&rsa, "rsa"),
        ec: read(&ec, "ec"),
        ed: read(&ed, "ed"),
        secret: SigningKey::from_secret(SECRET.as_bytes()).expect("a secret"),
        public_pem: rsa.public_key_pem(),
    }
}

fn jwks(keys: &Keys) -> String {
    let entries = [&keys.rsa, &keys.ec, &keys.ed].map(|key| {
        let mut jwk = key.public().expect("public").to_jwk();
        jwk["kid"] = json!(key.id);
        jwk
    });
    json!({"keys": entries}).to_string()
}

fn snapshot(keys: &Keys) -> Value {
    let jwt = |issuers: Value| {
        json!({"jwt": {
            "issuers": issuers, "audience": ["shop"], "types": [], "skew_s": 30, "required": {"tenant": "blue"},
            "claims": {"subject": "/sub", "groups": "/realm/groups", "scopes": null, "plan": null, "headers": {}},
            "max_bytes": 4096, "forward": false,
        }})
    };
    let route = |path: &str, policies: Value| {
        json!({
            "match": {"hosts": [], "path": path, "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": policies,
            "target": {"response": {"status": 200, "headers": {}, "body": "done"}},
        })
    };
    json!({
        "workers": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "consumers": {}, "clusters": {},
        "issuers": {
            "corp": {"issuer": "https://corp.example", "algorithms": ["RS256", "PS256", "ES256", "EdDSA"],
                "jwks": jwks(keys), "public_keys": [], "secret": null},
            "legacy": {"issuer": "legacy", "algorithms": ["HS256"], "jwks": null, "public_keys": [], "secret": SECRET},
        },
        "routes": {
            "both": route("/both", json!({"authenticate": {"any": [jwt(json!(["corp", "legacy"]))], "anonymous": {"groups": [], "scopes": [], "plan": null}}})),
            "read": route("/read", json!({
                "authenticate": {"any": [jwt(json!(["corp"])), jwt(json!(["legacy"]))]},
                "authorize": {"must": {"scopes": ["read"], "groups": ["staff"], "cel": "consumer.name == 'corp/7' && claims.tenant == 'blue'"},
                    "any": [], "none": [], "opa": null},
            })),
        },
    })
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64().floor()
}

fn claims() -> Value {
    json!({
        "iss": "https://corp.example", "sub": "7", "aud": ["other", "shop"], "exp": now() + 600.0, "iat": now(),
        "nbf": now() - 10.0, "tenant": "blue", "scope": "read write", "realm": {"groups": ["staff"]},
    })
}

fn sign(key: &SigningKey, algorithm: Algorithm, header: &Value, claims: &str) -> String {
    let signed = format!("{}.{}", base64url::encode(header.to_string()), base64url::encode(claims));
    let signature = key.sign(algorithm, signed.as_bytes()).expect("signed");
    format!("{signed}.{}", base64url::encode(signature))
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    claims.to_string()
}

fn start(keys: &Keys) -> (Server, SocketAddr) {
    let server = Server::start(&serde_json::from_value(snapshot(keys)).expect("a snapshot")).expect("started");
    let address = *server.addresses().get("public").expect("a listener");
    (server, address)
}

fn ask(address: SocketAddr, path: &str, fields: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), answer)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn tokens_of_every_algorithm_are_taken_and_say_what_their_subject_may_do() {
    let keys = keys();
    let (server, address) = start(&keys);
    for (key, algorithm) in [
        (&keys.rsa, Algorithm::Rs256),
        (&keys.rsa, Algorithm::Ps256),
        (&keys.ec, Algorithm::Es256),
        (&keys.ed, Algorithm::EdDsa),
    ] {
        for header in [json!({"alg": algorithm.name(), "kid": key.id}), json!({"alg": algorithm.name(), "typ": "JWT"})]
        {
            let token = sign(key, algorithm, &header, &claims().to_string());
            // The second time it is remembered.
            assert_eq!(
                [ask(address, "/read", &bearer(&token)).0, ask(address, "/read", &bearer(&token)).0],
                [200, 200]
            );
            assert_eq!(ask(address, "/read", &format!("authorization: bEARER   {token}\r\n")).0, 200);
        }
    }
    let header = json!({"alg": "EdDSA"});
    let signed = |claims: String| bearer(&sign(&keys.ed, Algorithm::EdDsa, &header, &claims));
    let (status, answer) = ask(address, "/read", &signed(with(|claims| claims["scope"] = json!("write"))));
    assert!(status == 403 && answer.contains("error=\"insufficient_scope\""), "{answer}");
    assert_eq!(ask(address, "/read", &signed(with(|claims| claims["realm"] = json!({})))).0, 403);
    // Another issuer's subject of the same name is another consumer.
    let legacy =
        sign(&keys.secret, Algorithm::Hs256, &json!({"alg": "HS256"}), &with(|claims| claims["iss"] = json!("legacy")));
    assert_eq!([ask(address, "/both", &bearer(&legacy)).0, ask(address, "/read", &bearer(&legacy)).0], [200, 403]);
    server.stop();
}

#[test]
fn whoever_shows_no_token_is_anonymous_and_whoever_shows_a_wrong_one_is_nobody() {
    let keys = keys();
    let (server, address) = start(&keys);
    assert_eq!(ask(address, "/both", "").0, 200);
    let (status, answer) = ask(address, "/read", "");
    assert!(status == 401 && answer.contains("www-authenticate: Bearer realm=\"stagedoor\"\r\n"), "{answer}");
    let good = sign(&keys.ed, Algorithm::EdDsa, &json!({"alg": "EdDSA"}), &claims().to_string());
    for fields in
        [bearer("opaque"), bearer("a.b"), bearer(""), bearer(&good[..good.len() - 1]), bearer(&format!("{good}x"))]
    {
        assert_eq!(ask(address, "/both", &fields).0, 401, "{fields}");
    }
    for other in ["Basic YTpi", "DPoP abc", "Digest x"] {
        assert_eq!(ask(address, "/both", &format!("Authorization: {other}\r\n")).0, 401, "{other} is not anonymous");
    }
    let (status, answer) = ask(address, "/both", &format!("{}{}", bearer(&good), bearer(&good)));
    assert!(status == 400 && answer.contains("error=\"invalid_request\""), "{answer}");
    server.stop();
}

#[test]
fn bent_tokens_are_refused_and_nobody_learns_why() {
    let keys = keys();
    let (server, address) = start(&keys);
    let good = claims().to_string();
    let ed = |header: Value, claims: &str| sign(&keys.ed, Algorithm::EdDsa, &header, claims);
    let plain = || json!({"alg": "EdDSA"});
    let unsigned = |header: &str, signature: &str| {
        format!("{}.{}.{signature}", base64url::encode(header), base64url::encode(&good))
    };
    // The RSA key's public half as a secret, and keys that come with the token.
    let confused = SigningKey::from_secret(keys.public_pem.as_bytes()).expect("long enough");
    let mut own = keys.ed.public().expect("public").to_jwk();
    own["kid"] = json!("ed");
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let stranger = SigningKey::from_pem(&stranger.serialize_pem()).expect("a key");
    let injected = json!({"alg": "EdDSA", "jwk": stranger.public().expect("public").to_jwk()});
    let zeros = base64url::encode([0; 64]);
    let mut wrong = vec![
        ("none", unsigned(r#"{"alg":"none"}"#, "")),
        ("None", unsigned(r#"{"alg":"None"}"#, "")),
        ("NONE", unsigned(r#"{"alg":"NONE"}"#, &zeros)),
        ("no alg", unsigned("{}", &zeros)),
        ("alg a number", unsigned(r#"{"alg":5}"#, &zeros)),
        ("alg twice", unsigned(r#"{"alg":"EdDSA","alg":"none"}"#, "")),
        ("no signature", unsigned(r#"{"alg":"EdDSA"}"#, "")),
        ("psychic signature", unsigned(r#"{"alg":"ES256"}"#, &zeros)),
        ("algorithm confusion", sign(&confused, Algorithm::Hs256, &json!({"alg": "HS256"}), &good)),
        ("confusion by kid", sign(&confused, Algorithm::Hs256, &json!({"alg": "HS256", "kid": "rsa"}), &good)),
        ("another issuer's secret", sign(&keys.secret, Algorithm::Hs256, &json!({"alg": "HS256"}), &good)),
        ("jwk", sign(&stranger, Algorithm::EdDsa, &injected, &good)),
        ("jku", sign(&stranger, Algorithm::EdDsa, &json!({"alg": "EdDSA", "jku": "http://127.0.0.1/keys"}), &good)),
        ("x5u", sign(&stranger, Algorithm::EdDsa, &json!({"alg": "EdDSA", "x5u": "http://127.0.0.1/cert"}), &good)),
        ("kid of another key", ed(json!({"alg": "EdDSA", "kid": "rsa"}), &good)),
        ("kid unknown", ed(json!({"alg": "EdDSA", "kid": "none"}), &good)),
        ("kid a path", ed(json!({"alg": "EdDSA", "kid": "../../dev/null"}), &good)),
        ("alg not of the key", sign(&keys.ec, Algorithm::Es256, &plain(), &good)),
        ("crit", ed(json!({"alg": "EdDSA", "crit": ["exp"]}), &good)),
        ("empty crit", ed(json!({"alg": "EdDSA", "crit": []}), &good)),
        ("b64", ed(json!({"alg": "EdDSA", "b64": false, "crit": ["b64"]}), &good)),
        ("zip", ed(json!({"alg": "EdDSA", "zip": "DEF"}), &good)),
        ("deep header", ed(json!({"alg": "EdDSA", "a": [[[[1]]]]}), &good)),
        (
            "deep claims",
            ed(
                plain(),
                &with(|claims| {
                    claims["a"] = serde_json::from_str(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).expect("JSON")
                }),
            ),
        ),
        ("claims twice", ed(plain(), &good.replacen("\"sub\":", "\"sub\":\"1\",\"sub\":", 1))),
        ("claims not an object", ed(plain(), "[1]")),
        ("not JSON", ed(plain(), "claims")),
        ("more than the claims", ed(plain(), &format!("{good} {{}}"))),
        ("oversized", ed(plain(), &with(|claims| claims["a"] = json!("a".repeat(8000))))),
    ];
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 19] = [
        ("expired", |claims| claims["exp"] = json!(now() - 31.0)),
        ("no exp", |claims| drop(claims.as_object_mut().expect("an object").remove("exp"))),
        ("exp a text", |claims| claims["exp"] = json!("9999999999")),
        ("exp huge", |claims| claims["exp"] = json!(1e300)),
        ("exp negative", |claims| claims["exp"] = json!(-1)),
        ("exp null", |claims| claims["exp"] = Value::Null),
        ("not yet", |claims| claims["nbf"] = json!(now() + 100.0)),
        ("from the future", |claims| claims["iat"] = json!(now() + 100.0)),
        ("another audience", |claims| claims["aud"] = json!("shopping")),
        ("no audience", |claims| drop(claims.as_object_mut().expect("an object").remove("aud"))),
        ("audience an object", |claims| claims["aud"] = json!({"shop": true})),
        ("audience of numbers", |claims| claims["aud"] = json!(["shop", 1])),
        ("another issuer", |claims| claims["iss"] = json!("https://corp.example/")),
        ("issuer in another case", |claims| claims["iss"] = json!("https://CORP.example")),
        ("no issuer", |claims| drop(claims.as_object_mut().expect("an object").remove("iss"))),
        ("no subject", |claims| drop(claims.as_object_mut().expect("an object").remove("sub"))),
        ("subject a number", |claims| claims["sub"] = json!(7)),
        ("another tenant", |claims| claims["tenant"] = json!("red")),
        ("no tenant", |claims| drop(claims.as_object_mut().expect("an object").remove("tenant"))),
    ];
    wrong.extend(changes.map(|(name, change)| (name, ed(plain(), &with(change)))));
    let (head, rest) = {
        let token = ed(plain(), &good);
        let (head, rest) = token.split_once('.').expect("parts");
        (head.to_owned(), rest.to_owned())
    };
    wrong.push(("padding", format!("{head}=.{rest}")));
    wrong.push(("a space", format!("{head} .{rest}")));
    for (name, token) in wrong {
        let (status, answer) = ask(address, "/both", &bearer(&token));
        assert_eq!(status, 401, "{name}: {answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{name}: {answer}");
        assert!(!answer.contains("expired") && !answer.contains("alg") && !answer.contains(&token), "{name}: {answer}");
    }
    // The attacks are wrong for their own reasons: the same token without them is right.
    assert_eq!(ask(address, "/both", &bearer(&ed(plain(), &good))).0, 200);
    server.stop();
}

#[test]
fn keys_that_cannot_be_meant_are_told_before_any_request() {
    let keys = keys();
    let mut wrong = snapshot(&keys);
    wrong["issuers"]["corp"]["algorithms"] = json!(["RS256", "ES384", "none"]);
    wrong["issuers"]["legacy"]["secret"] = json!("short and secret");
    let errors =
        Program::compile(&serde_json::from_value(wrong).expect("a snapshot"), &Shared::new(1)).err().expect("errors");
    assert!(errors.contains(&"issuer 'corp': algorithms: 'none' is none that is supported".to_owned()), "{errors:?}");
    assert!(
        errors.iter().any(|error| error.starts_with("issuer 'legacy': secret: it is a secret of 16 bytes")),
        "{errors:?}"
    );
    assert!(!errors.concat().contains("short and secret"), "{errors:?}");
    let mut wrong = snapshot(&keys);
    wrong["issuers"]["corp"]["algorithms"] = json!(["ES384"]);
    let errors =
        Program::compile(&serde_json::from_value(wrong).expect("a snapshot"), &Shared::new(1)).err().expect("errors");
    assert!(errors.contains(&"issuer 'corp': algorithms: none of its keys is for ES384".to_owned()), "{errors:?}");
}
