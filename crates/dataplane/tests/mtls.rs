//! Who a client certificate is, what is bound to one, and what endpoints are told of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::door::{self, snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use crate::pki::{self, Authority, Folder, Pair, BOTH};
use aws_lc_rs::digest::{digest, SHA256};
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use rcgen::SanType;
use serde_json::{json, Value};
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey};
use tokio_rustls::rustls::{ClientConfig, StreamOwned};

const SECRET: &str = "a secret that is long enough for HS256";

struct Setting {
    door: Door,
    authority: Authority,
    endpoint: Endpoint,
    _folder: Folder,
}

fn sha256(pair: &Pair) -> Vec<u8> {
    digest(&SHA256, &pair.certificate()).as_ref().to_vec()
}

/// Clients may show a certificate; `known` is the one that is known by its digest.
fn setting(authenticate: Value, known: Option<&Pair>, authority: Authority) -> Setting {
    let (folder, endpoint) = (Folder::new(), Endpoint::answering(OK));
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["tls"] = json!({
        "certificates": [folder.store("server", &authority.issue(&["shop.example"]))], "min_version": "1.2",
        "clients": {"ca": folder.write("ca.pem", &authority.pem()), "required": false}, "handshake_ms": 10_000,
    });
    let consumer =
        |certificates: Value| json!({"api_key_sha256": [], "groups": ["staff"], "certificates": certificates});
    let hex: String = known.iter().flat_map(|pair| sha256(pair)).map(|byte| format!("{byte:02x}")).collect();
    let entry = |field: &str, value: &str| json!({"field": field, "value": value});
    snapshot["consumers"] = json!({
        "billing": consumer(json!([entry("spiffe", "spiffe://prod.example/billing")])),
        "mail": consumer(json!([entry("dns", "mail.example"), entry("email", "mail@example.com")])),
        "old": consumer(json!([entry("subject", "CN=old"), entry("uri", "urn:old"), entry("ip", "192.0.2.1")])),
        "pinned": consumer(json!([entry("sha256", &hex)])),
    });
    snapshot["issuers"] = json!({"corp": {"issuer": "corp", "algorithms": ["HS256"], "jwks": null, "public_keys": [],
        "secret": SECRET}});
    snapshot["routes"]["guarded"]["policies"] = json!({"authenticate": authenticate});
    Setting { door: Door::open(snapshot), authority, endpoint, _folder: folder }
}

const EVERY: [&str; 7] = ["spiffe", "uri", "dns", "email", "ip", "subject", "sha256"];

fn every() -> Value {
    json!({"any": [{"mtls": {"by": EVERY, "forward": null}}]})
}

impl Setting {
    fn config(&self, shown: Option<&Pair>) -> Arc<ClientConfig> {
        Arc::new(self.authority.client(shown, BOTH))
    }

    /// The status, and what the endpoint was sent.
    fn ask(&self, config: &Arc<ClientConfig>, path: &str, fields: &str) -> (u16, String) {
        let before = self.endpoint.text().len();
        let stream = TcpStream::connect(self.door.address).unwrap();
        stream.set_read_timeout(Some(door::PATIENCE)).unwrap();
        let mut session = StreamOwned::new(pki::session(config, "shop.example"), stream);
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
        session.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        session.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, self.endpoint.text()[before..].to_ascii_lowercase())
    }

    fn consumer(&self, shown: Option<&Pair>) -> (u16, Option<String>) {
        let (status, seen) = self.ask(&self.config(shown), "/guarded", "");
        (status, seen.lines().find_map(|line| line.strip_prefix("x-consumer-id: ")).map(str::to_owned))
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

#[test]
fn a_certificate_is_its_consumers_by_any_of_its_names_and_a_stranger_is_refused() {
    let authority = Authority::new("ca");
    let pinned = authority.issue(&["nobody.example"]);
    let issue = |subject: &str, names: Vec<SanType>| authority.issue_for(subject, names);
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let email = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
    let cases = [
        (Some(issue("x", vec![uri("spiffe://prod.example/billing")])), 200, Some("billing")),
        (Some(issue("x", vec![dns("MAIL.example")])), 200, Some("mail")),
        (Some(issue("x", vec![email("mail@example.com")])), 200, Some("mail")),
        (Some(issue("x", vec![dns("a.example"), dns("mail.example")])), 200, Some("mail")),
        (Some(issue("x", vec![uri("urn:old")])), 200, Some("old")),
        (Some(issue("x", vec![SanType::IpAddress([192, 0, 2, 1].into())])), 200, Some("old")),
        (Some(issue("old", vec![])), 200, Some("old")),
        (Some(pinned), 200, Some("pinned")),
        // Two URIs are no SPIFFE ID, and one of another kind is no name of that kind.
        (Some(issue("x", vec![uri("spiffe://prod.example/billing"), uri("urn:x")])), 401, None),
        (Some(issue("x", vec![dns("urn:old")])), 401, None),
        (Some(issue("x", vec![email("mail@example.org")])), 401, None),
        (Some(issue("older", vec![])), 401, None),
        // Of two consumers.
        (Some(issue("old", vec![dns("mail.example")])), 401, None),
        (None, 401, None),
    ];
    let known = cases[7].0.as_ref();
    let setting = setting(every(), known, Authority::new("other"));
    // A client of another authority does not get that far.
    let stranger = authority.issue(&["mail.example"]);
    let config = Arc::new(setting.authority.client(Some(&stranger), BOTH));
    let stream = TcpStream::connect(setting.door.address).unwrap();
    let mut session = StreamOwned::new(pki::session(&config, "shop.example"), stream);
    let _sent = session.write_all(b"GET /guarded HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(session.read(&mut [0; 16]).is_err());
    let setting = self::setting(every(), known, authority);
    for (index, (shown, status, consumer)) in cases.iter().enumerate() {
        let expected = (*status, consumer.map(str::to_owned));
        assert_eq!(setting.consumer(shown.as_ref()), expected, "case {index}");
    }
}

#[test]
fn endpoints_see_our_word_of_the_certificate_and_never_the_clients() {
    let authority = Authority::new("ca");
    let pair = authority.issue(&["mail.example"]);
    let scheme = json!({"any": [{"mtls": {"by": EVERY, "forward": "chain"}}]});
    let setting = setting(scheme, None, authority);
    let forged = "Client-Cert: :Zm9yZ2Vk:\r\nclient_cert: :Zm9yZ2Vk:\r\nCLIENT-CERT_CHAIN: :Zm9yZ2Vk:\r\n";
    let (status, seen) = setting.ask(&setting.config(Some(&pair)), "/guarded", forged);
    let expected = format!("client-cert: :{}:\r\n", STANDARD.encode(pair.certificate())).to_ascii_lowercase();
    assert!(status == 200 && seen.contains(&expected), "{seen}");
    assert!(!seen.contains("zm9yz2vk") && !seen.contains("client-cert-chain"), "{seen}");
    let (status, seen) = setting.ask(&setting.config(None), "/elsewhere", forged);
    assert!(status == 200 && !seen.contains("client-cert") && !seen.contains("client_cert"), "{seen}");
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_good_with_that_one_alone() {
    let authority = Authority::new("ca");
    let (own, other) = (authority.issue(&["mail.example"]), authority.issue(&["mail.example"]));
    let jwt = |bound: Value| {
        json!({"any": [{"jwt": {"issuers": ["corp"], "audience": [], "types": [], "skew_s": 30, "required": {},
            "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}},
            "max_bytes": 4096, "forward": false, "bound": bound}}]})
    };
    let key = SigningKey::from_secret(SECRET.as_bytes()).unwrap();
    let token = |cnf: Value| {
        let mut claims = json!({"iss": "corp", "sub": "7", "exp": 4_000_000_000_u64});
        if cnf != Value::Null {
            claims["cnf"] = cnf;
        }
        let header = base64url::encode(r#"{"alg":"HS256"}"#);
        let signed = format!("{header}.{}", base64url::encode(claims.to_string()));
        let signature = key.sign(Algorithm::Hs256, signed.as_bytes()).unwrap();
        format!("Authorization: Bearer {signed}.{}\r\n", base64url::encode(signature))
    };
    let bound = token(json!({"x5t#S256": base64url::encode(sha256(&own))}));
    let plain = setting(jwt(Value::Null), None, authority);
    let ask = |setting: &Setting, shown: Option<&Pair>, token: &str| {
        // The second time the token is remembered.
        let config = setting.config(shown);
        [setting.ask(&config, "/guarded", token).0, setting.ask(&config, "/guarded", token).0]
    };
    assert_eq!(ask(&plain, Some(&own), &bound), [200, 200]);
    assert_eq!(ask(&plain, Some(&other), &bound), [401, 401]);
    assert_eq!(ask(&plain, None, &bound), [401, 401]);
    assert_eq!(ask(&plain, None, &token(Value::Null)), [200, 200]);
    for cnf in [json!({"x5t#S256": 1}), json!("x"), json!({"jwk": {}}), json!({"jkt": "x"}), json!({"kid": "x"})] {
        assert_eq!(ask(&plain, Some(&own), &token(cnf.clone())), [401, 401], "{cnf}");
    }
    let strict = setting(jwt(json!("mtls")), None, plain.authority);
    assert_eq!(ask(&strict, Some(&own), &bound), [200, 200]);
    assert_eq!(ask(&strict, Some(&own), &token(Value::Null)), [401, 401]);
    assert_eq!(ask(&strict, Some(&own), &token(json!({}))), [401, 401]);
}
