//! How a cluster proves itself to its endpoints: fixed fields, tokens of a token endpoint that the test plays, honest and
//! otherwise, and tokens for those of callers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::door::{snapshot, until, Door};
use crate::endpoint::{self, Connection, Endpoint, OK};
use crate::wire::Message;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde_json::{json, Value};
use stagedoor_dataplane::explain;
use stagedoor_dataplane::keys::{base64url, Algorithm, SigningKey, VerifyingKey};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::snapshot::Snapshot;

const REFUSED: &[u8] = b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n";

/// What a token endpoint was asked, each with its `Authorization`.
type Asked = Arc<Mutex<Vec<(BTreeMap<String, String>, String)>>>;

struct Issuer {
    endpoint: Endpoint,
    asked: Asked,
    /// Status and text of the answers from now on; `N` in it is the number of the request.
    says: Arc<Mutex<(u16, String)>>,
}

fn token(expires_in: u64) -> String {
    json!({"access_token": "token-N", "token_type": "Bearer", "expires_in": expires_in}).to_string()
}

impl Issuer {
    fn start() -> Self {
        let (asked, says) = (Asked::default(), Arc::new(Mutex::new((200, token(3600)))));
        let (seen, answers) = (asked.clone(), says.clone());
        let endpoint = Endpoint::start(move |mut connection| {
            while let Some((head, body)) = connection.request() {
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push((form(&body), line(&head, "authorization")));
                    seen.len().to_string()
                };
                let (status, text) = answers.lock().unwrap().clone();
                let text = text.replace('N', &number);
                let head = format!("HTTP/1.1 {status} X\r\nLocation: /other\r\nContent-Length: {}\r\n\r\n", text.len());
                connection.send(format!("{head}{text}").as_bytes());
            }
        });
        Self { endpoint, asked, says }
    }

    fn says(&self, status: u16, text: impl Into<String>) {
        *self.says.lock().unwrap() = (status, text.into());
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn last(&self) -> (BTreeMap<String, String>, String) {
        self.asked.lock().unwrap().last().cloned().expect("it was asked")
    }
}

fn line(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect::<Vec<_>>().join("|")
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let mut form = BTreeMap::<String, String>::new();
    for (name, value) in std::str::from_utf8(body).unwrap().split('&').filter_map(|pair| pair.split_once('=')) {
        let all = form.entry(decode(name)).or_default();
        *all = if all.is_empty() { decode(value) } else { format!("{all}|{}", decode(value)) };
    }
    form
}

/// The service that wants tokens: it refuses those that are in `refused`.
fn service(refused: &'static [&'static str]) -> Endpoint {
    Endpoint::start(move |mut connection: Connection| {
        while let Some((head, _)) = connection.request() {
            let token = line(&head, "authorization");
            connection.send(if refused.contains(&token.as_str()) { REFUSED } else { OK });
        }
    })
}

fn client() -> Value {
    json!({
        "issuer": "corp", "token_endpoint": null, "client_id": "gateway", "client_authentication": "client_secret_basic",
        "client_secret": "s3cr&t", "private_key": null, "key_id": null, "algorithm": null, "assertion_audience": null,
        "scopes": ["read", "write"], "audience": ["inventory"], "resource": ["https://inventory.example/"],
        "timeout_ms": 10_000,
    })
}

fn client_credentials() -> Value {
    json!({"client_credentials": {"client": client()}})
}

fn exchange() -> Value {
    json!({"token_exchange": {"client": client(), "requested_token_type": null, "actor": false, "otherwise": "refuse"}})
}

fn with(credentials: Value, service: &Endpoint, issuer: &Issuer) -> Value {
    let mut snapshot = snapshot(service.address);
    snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(16_384);
    snapshot["clusters"]["login"] = snapshot["clusters"]["shop"].clone();
    snapshot["clusters"]["login"]["endpoints"][0]["authority"] = json!(issuer.endpoint.address.to_string());
    snapshot["clusters"]["shop"]["credentials"] = credentials;
    snapshot["issuers"] = json!({"corp": {
        "issuer": "https://login.example", "algorithms": ["ES256"], "jwks": jwks(), "public_keys": [], "secret": null,
        "endpoints": {"token": {"url": "https://login.example/token", "authority": "login.example", "path": "/token",
            "cluster": "login"}},
    }});
    snapshot
}

fn get(door: &Door, fields: &str) -> Message {
    door.client().ask(format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
}

/// What the service has seen in `Authorization`, in turn.
fn tokens(service: &Endpoint) -> Vec<String> {
    let text = service.text();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    let found = lines.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    found.map(|(_, value)| value.strip_prefix("Bearer ").unwrap_or(value).to_owned()).collect()
}

fn compile(snapshot: &Value) -> Result<Program, Vec<String>> {
    let snapshot: Snapshot = serde_json::from_value(snapshot.clone()).expect("a snapshot");
    Program::compile(&snapshot, &Shared::new(1))
}

#[test]
fn fixed_fields_are_the_gateways_own_under_every_spelling() {
    let service = Endpoint::answering(OK);
    for (credentials, name, value) in [
        (json!({"headers": {"x-inventory-key": "the-secret"}}), "x-inventory-key", "the-secret".to_owned()),
        (
            json!({"basic": {"username": "gateway", "password": "pass:wört"}}),
            "authorization",
            format!("Basic {}", STANDARD.encode("gateway:pass:wört")),
        ),
    ] {
        let mut snapshot = snapshot(service.address);
        snapshot["clusters"]["shop"]["credentials"] = credentials;
        let door = Door::open(snapshot.clone());
        let before = service.text().len();
        let fields =
            "X-Inventory-Key: mine\r\nX_Inventory_Key: mine\r\nx-inventory_Key: mine\r\nAuthorization: mine\r\n";
        assert_eq!(get(&door, fields).status(), 200);
        let chunked = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x_inventory-key\r\n\r\n\
                       2\r\nhi\r\n0\r\nX_Inventory-Key: mine\r\nAuthorization: mine\r\n\r\n";
        assert_eq!(door.client().ask(chunked.as_bytes()).status(), 200);
        let seen = service.text()[before..].to_owned();
        assert_eq!(seen.to_lowercase().matches(&format!("{name}: {}\r\n", value.to_lowercase())).count(), 2, "{seen}");
        let own = seen.to_lowercase().replace('_', "-");
        assert!(!own.contains(&format!("{name}: mine")), "{seen}");
        let described = explain::explain(&compile(&snapshot).unwrap(), "GET", "http://a/a", &[], [127, 0, 0, 1].into());
        assert!(
            described["target"]["credentials"].is_object() && !described.to_string().contains(&value),
            "{described}"
        );
        let settings = format!("{:?}", serde_json::from_value::<Snapshot>(snapshot).unwrap());
        assert!(!settings.contains("the-secret") && !settings.contains("wört"), "{settings}");
    }
}

#[test]
fn a_token_is_got_once_and_goes_with_every_request() {
    let (service, issuer) = (service(&[]), Issuer::start());
    let door = Door::open(with(client_credentials(), &service, &issuer));
    let clients: Vec<_> = (0..8).map(|_| door.client()).collect();
    let threads = clients.into_iter().map(|mut client| {
        std::thread::spawn(move || {
            let request = b"GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer mine\r\n\r\n";
            (0..4).for_each(|_| assert_eq!(client.ask(request).status(), 200));
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((issuer.count(), tokens(&service)), (1, vec!["token-1".to_owned(); 32]));
    let (form, authorization) = issuer.last();
    let said: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        said,
        [
            ("audience", "inventory"),
            ("grant_type", "client_credentials"),
            ("resource", "https://inventory.example/"),
            ("scope", "read write"),
        ]
    );
    // RFC 6749 §2.3.1: as in a form before it is base64.
    assert_eq!(authorization, format!("Basic {}", STANDARD.encode("gateway:s3cr%26t")));
}

#[test]
fn a_client_proves_itself_in_the_form_or_with_a_key() {
    let (service, issuer) = (service(&[]), Issuer::start());
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let mut credentials = client_credentials();
    credentials["client_credentials"]["client"]["client_authentication"] = json!("client_secret_post");
    assert_eq!(get(&Door::open(with(credentials, &service, &issuer)), "").status(), 200);
    let (form, authorization) = issuer.last();
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("gateway", "s3cr&t"));
    assert_eq!(authorization, "");

    let mut credentials = client_credentials();
    let settings = &mut credentials["client_credentials"]["client"];
    settings["client_authentication"] = json!("private_key_jwt");
    (settings["client_secret"], settings["private_key"]) = (Value::Null, json!(pem));
    settings["key_id"] = json!("k1");
    let mut snapshot = with(credentials, &service, &issuer);
    assert_eq!(get(&Door::open(snapshot.clone()), "").status(), 200);
    let (form, _) = issuer.last();
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let assertion = form["client_assertion"].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let key = SigningKey::from_pem(&pem).unwrap();
    let verifying = VerifyingKey::from_public(key.public().unwrap().clone(), None).unwrap();
    verifying.verify(Algorithm::Es256, signed.as_bytes(), &base64url::decode(signature).unwrap()).unwrap();
    let part = |text: &str| serde_json::from_slice::<Value>(&base64url::decode(text).unwrap()).unwrap();
    let (header, claims) = signed.split_once('.').map(|(header, claims)| (part(header), part(claims))).unwrap();
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("gateway"), &json!("gateway"), &json!("https://login.example/token"))
    );
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    // A key of another type than the algorithm is found before anything is served.
    snapshot["clusters"]["shop"]["credentials"]["client_credentials"]["client"]["algorithm"] = json!("RS256");
    let wrong = compile(&snapshot).err().unwrap();
    assert_eq!(
        wrong,
        ["cluster 'shop': credentials.client_credentials: private_key: it is not of the type, curve or length that RS256 needs"]
    );
}

#[test]
fn a_token_is_renewed_before_it_ends_while_the_old_one_is_used() {
    let (service, issuer) = (service(&[]), Issuer::start());
    issuer.says(200, token(3));
    let door = Door::open(with(client_credentials(), &service, &issuer));
    let mut client = door.client();
    until("a second token", || {
        assert_eq!(client.ask(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
        tokens(&service).last().unwrap() == "token-2"
    });
    // Now nothing more comes: the second one is used until it ends, and then nothing goes out without one.
    issuer.says(500, "{}");
    let asked = service.requests();
    let mut answer = get(&door, "");
    assert_eq!(answer.status(), 200);
    until("the end of the second token", || {
        answer = client.ask(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
        answer.status() != 200
    });
    assert_eq!(answer.status(), 503);
    assert!(String::from_utf8_lossy(&answer.content).contains("credentials-unavailable"));
    assert!(answer.field("retry-after").is_some_and(|seconds| (1..=60).contains(&seconds.parse::<u32>().unwrap())));
    assert!(service.requests() > asked && tokens(&service).iter().all(|token| !token.is_empty()));
    // A pause between tries: however many ask, the issuer is not asked for each.
    let (before, reached) = (issuer.count(), service.requests());
    (0..50).for_each(|_| assert_eq!(get(&door, "").status(), 503));
    assert!(issuer.count() <= before + 2, "{} after {before}", issuer.count());
    assert_eq!(service.requests(), reached);
    issuer.says(200, token(3600));
    until("it is well again", || get(&door, "").status() == 200);
}

#[test]
fn a_401_makes_a_token_worthless_and_the_request_come_again_once() {
    let (service, issuer) = (service(&["Bearer token-1", "Bearer token-3"]), Issuer::start());
    let snapshot = with(client_credentials(), &service, &issuer);
    let door = Door::open(snapshot.clone());
    assert_eq!(get(&door, "").status(), 200);
    assert_eq!(tokens(&service), ["token-1", "token-2"]);
    // Content that is not kept cannot come again; the token is not used again.
    let other = Door::open(snapshot);
    let post = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(other.client().ask(post).status(), 401);
    assert_eq!(get(&other, "").status(), 200);
    assert_eq!(tokens(&service).last().unwrap(), "token-4");
}

#[test]
fn a_service_that_takes_no_token_at_all_is_no_burden_for_the_issuer() {
    let refused = &["Bearer token-1", "Bearer token-2", "Bearer token-3"];
    let (service, issuer) = (service(refused), Issuer::start());
    let door = Door::open(with(client_credentials(), &service, &issuer));
    (0..20).for_each(|_| assert_eq!(get(&door, "").status(), 401));
    assert_eq!((issuer.count(), service.requests()), (2, 21));
}

#[test]
fn answers_that_are_none_are_no_tokens() {
    let service = service(&[]);
    let long = "x".repeat(70_000);
    let very_long = "x".repeat(2_000_000);
    for (name, status, text) in [
        ("garbage", 200, "<html>".to_owned()),
        ("nothing", 200, String::new()),
        ("too long", 200, json!({"access_token": long, "token_type": "Bearer"}).to_string()),
        ("far too long", 200, json!({"access_token": very_long, "token_type": "Bearer"}).to_string()),
        ("a redirect", 302, token(60)),
        ("another redirect", 307, token(60)),
        ("another kind", 200, json!({"access_token": "a", "token_type": "mac"}).to_string()),
        ("none", 200, json!({"token_type": "Bearer"}).to_string()),
        ("empty", 200, json!({"access_token": "", "token_type": "Bearer"}).to_string()),
        ("two lines", 200, json!({"access_token": "a\r\nX-Admin: 1", "token_type": "Bearer"}).to_string()),
        ("a space", 200, json!({"access_token": "a b", "token_type": "Bearer"}).to_string()),
        ("no ASCII", 200, json!({"access_token": "ä", "token_type": "Bearer"}).to_string()),
        ("too long for a head", 200, json!({"access_token": &long[..17_000], "token_type": "Bearer"}).to_string()),
        ("over", 200, token(0)),
        ("negative", 200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": -5}).to_string()),
        ("no number", 200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}).to_string()),
        ("nested", 200, format!("{}1{}", "[".repeat(5000), "]".repeat(5000))),
        ("twice", 200, r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#.to_owned()),
        ("our fault", 401, json!({"error": "invalid_client"}).to_string()),
        ("its fault", 500, token(60)),
        ("accepted only", 202, token(60)),
    ] {
        let issuer = Issuer::start();
        issuer.says(status, text);
        let answer = get(&Door::open(with(client_credentials(), &service, &issuer)), "");
        let problem = String::from_utf8_lossy(&answer.content).into_owned();
        assert_eq!((answer.status(), issuer.count()), (503, 1), "{name}: {problem}");
        assert!(!problem.contains("secret") && !problem.contains("invalid_client"), "{name}: {problem}");
    }
    assert_eq!(service.requests(), 0);
    // These are odd and good: no time at all, and more of it than there is.
    for text in [
        json!({"access_token": "a", "token_type": "bEARER"}).to_string(),
        json!({"access_token": "a", "token_type": "Bearer", "expires_in": u64::MAX}).to_string(),
    ] {
        let issuer = Issuer::start();
        issuer.says(200, text);
        let door = Door::open(with(client_credentials(), &service, &issuer));
        (0..3).for_each(|_| assert_eq!(get(&door, "").status(), 200));
        assert_eq!(issuer.count(), 1);
    }
}

#[test]
fn an_issuer_that_is_slow_or_gone_holds_nobody_longer_than_it_may() {
    let service = service(&[]);
    let silent = Endpoint::start(Connection::wait_closed);
    let (asked, says) = (Asked::default(), Arc::new(Mutex::new((200, String::new()))));
    let issuer = Issuer { endpoint: silent, asked, says };
    let mut credentials = client_credentials();
    credentials["client_credentials"]["client"]["timeout_ms"] = json!(200);
    let mut snapshot = with(credentials, &service, &issuer);
    assert_eq!(get(&Door::open(snapshot.clone()), "").status(), 503);
    snapshot["clusters"]["login"]["endpoints"][0]["authority"] = json!(endpoint::nobody().to_string());
    assert_eq!(get(&Door::open(snapshot), "").status(), 503);
    assert_eq!(service.requests(), 0);
}

#[test]
fn a_new_secret_takes_effect_at_a_reload_and_no_request_is_lost() {
    let (service, issuer) = (service(&[]), Issuer::start());
    let mut snapshot = with(client_credentials(), &service, &issuer);
    let door = Door::open(snapshot.clone());
    assert_eq!(get(&door, "").status(), 200);
    snapshot["clusters"]["shop"]["credentials"]["client_credentials"]["client"]["client_secret"] = json!("new");
    door.server.apply(&serde_json::from_value(snapshot.clone()).unwrap()).unwrap();
    until("a token by the new secret", || {
        assert_eq!(get(&door, "").status(), 200);
        tokens(&service).last().unwrap() == "token-2"
    });
    assert_eq!(issuer.last().1, format!("Basic {}", STANDARD.encode("gateway:new")));
    // A wrong one does no harm while the token that is there is good.
    issuer.says(401, json!({"error": "invalid_client"}).to_string());
    snapshot["clusters"]["shop"]["credentials"]["client_credentials"]["client"]["client_secret"] = json!("wrong");
    door.server.apply(&serde_json::from_value(snapshot).unwrap()).unwrap();
    until("the new secret is tried", || {
        assert_eq!(get(&door, "").status(), 200);
        issuer.count() == 3
    });
    assert_eq!(get(&door, "").status(), 200);
}

fn key() -> &'static SigningKey {
    static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        SigningKey::from_pem(&pair.serialize_pem()).unwrap()
    })
}

fn jwks() -> String {
    json!({"keys": [key().public().unwrap().to_jwk()]}).to_string()
}

/// A caller's token.
fn caller(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"iss": "https://login.example", "sub": name, "exp": now + 300});
    let header = base64url::encode(r#"{"alg":"ES256"}"#);
    let signed = format!("{header}.{}", base64url::encode(claims.to_string()));
    format!("{signed}.{}", base64url::encode(key().sign(Algorithm::Es256, signed.as_bytes()).unwrap()))
}

fn guarded(credentials: Value, service: &Endpoint, issuer: &Issuer) -> Value {
    let mut snapshot = with(credentials, service, issuer);
    let digest = sha2::Sha256::digest("a-key");
    use sha2::Digest as _;
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    snapshot["consumers"]["web"] = json!({"api_key_sha256": [digest], "groups": []});
    snapshot["routes"]["all"]["policies"]["authenticate"] = json!({"any": [
        {"api_key": {"header": "x-api-key", "query": null}},
        {"jwt": {"issuers": ["corp"], "audience": [], "types": [], "skew_s": 30, "required": {}, "max_bytes": 16_384,
            "forward": false, "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}}}},
    ], "anonymous": {"groups": [], "scopes": [], "plan": null}});
    snapshot
}

fn ask_as(door: &Door, token: &str) -> Message {
    get(door, &format!("Authorization: Bearer {token}\r\n"))
}

#[test]
fn a_callers_token_is_exchanged_once_for_one_for_the_service() {
    let (service, issuer) = (service(&[]), Issuer::start());
    let door = Door::open(guarded(exchange(), &service, &issuer));
    let (alice, bob) = (caller("alice"), caller("bob"));
    for (token, times) in [(&alice, 3), (&bob, 2), (&alice, 2)] {
        (0..times).for_each(|_| assert_eq!(ask_as(&door, token).status(), 200));
    }
    let expected = [["token-1"; 3].as_slice(), &["token-2"; 2], &["token-1"; 2]].concat();
    assert_eq!((tokens(&service), issuer.count()), (expected.iter().map(|text| (*text).to_owned()).collect(), 2));
    let form = issuer.last().0;
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(
        (form["subject_token"].as_str(), form["subject_token_type"].as_str()),
        (bob.as_str(), "urn:ietf:params:oauth:token-type:access_token")
    );
    assert!(!form.contains_key("actor_token") && !form.contains_key("requested_token_type"));
    assert_eq!((form["audience"].as_str(), form["scope"].as_str()), ("inventory", "read write"));
    assert!(!service.text().contains(&alice) && !service.text().contains(&bob));
    // Who has no token has none that could be exchanged: refused, whoever it is.
    let known = get(&door, "X-API-Key: a-key\r\n");
    assert_eq!(known.status(), 403);
    assert!(String::from_utf8_lossy(&known.content).contains("caller-token-missing"));
    let nobody = get(&door, "");
    assert_eq!((nobody.status(), nobody.field("www-authenticate").is_some()), (401, true));
    assert_eq!((issuer.count(), service.requests()), (2, 7));
}

/// Two users of one consumer are two to the service, by what their tokens are exchanged for.
#[test]
fn a_cache_by_consumer_keeps_apart_whose_tokens_are_exchanged() {
    let service = Endpoint::start(|mut connection: Connection| {
        while let Some((head, _)) = connection.request() {
            let token = line(&head, "authorization");
            let fields = format!("Cache-Control: max-age=60\r\nContent-Length: {}", token.len());
            connection.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{token}").as_bytes());
        }
    });
    let issuer = Issuer::start();
    let mut snapshot = guarded(exchange(), &service, &issuer);
    let policies = &mut snapshot["routes"]["all"]["policies"];
    policies["authenticate"]["any"][1]["jwt"]["claims"]["subject"] = json!("/iss");
    policies["cache"] = json!({
        "query": "all", "vary_by": ["consumer"], "forward": [], "share_consumers": false, "ttl_s": {}, "heuristic": false,
        "set_cookies": false, "object_bytes": 1_048_576, "variants": 8, "stale_while_revalidate_s": 0,
        "stale_if_error_s": 0, "client_control": true, "groups": [], "invalidates": [], "status": true,
    });
    let door = Door::open(snapshot);
    let (alice, bob) = (caller("alice"), caller("bob"));
    for (token, expected) in [(&alice, "token-1"), (&bob, "token-2"), (&alice, "token-1")] {
        assert_eq!(String::from_utf8_lossy(&ask_as(&door, token).content), format!("Bearer {expected}"));
    }
    assert_eq!(service.requests(), 2);
}

#[test]
fn an_exchange_says_who_acts_and_what_it_wants_and_may_have_another_way() {
    let (service, issuer) = (service(&[]), Issuer::start());
    let mut credentials = exchange();
    credentials["token_exchange"]["actor"] = json!(true);
    credentials["token_exchange"]["otherwise"] = json!("client_credentials");
    credentials["token_exchange"]["requested_token_type"] = json!("urn:ietf:params:oauth:token-type:jwt");
    let door = Door::open(guarded(credentials, &service, &issuer));
    assert_eq!(ask_as(&door, &caller("alice")).status(), 200);
    let form = issuer.last().0;
    assert_eq!(form["actor_token"], "token-1");
    assert_eq!(form["actor_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(form["requested_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(get(&door, "X-API-Key: a-key\r\n").status(), 200);
    assert_eq!(tokens(&service), ["token-2", "token-1"]);
    // A token of another type than was asked for is not handed on.
    issuer.says(
        200,
        json!({"access_token": "a", "token_type": "Bearer",
        "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"})
        .to_string(),
    );
    assert_eq!(ask_as(&door, &caller("carol")).status(), 503);
    assert_eq!(service.requests(), 2);
}

#[test]
fn what_an_issuer_says_of_a_callers_token_is_told_by_its_sense() {
    let service = service(&[]);
    for (status, error, told) in [
        (400, "invalid_grant", 401),
        (400, "invalid_request", 401),
        (400, "invalid_target", 403),
        (403, "access_denied", 403),
        (401, "invalid_client", 503),
        (400, "unauthorized_client", 503),
        (400, "unsupported_grant_type", 503),
        (400, "invalid_scope", 503),
        (400, "", 503),
        (500, "server_error", 503),
    ] {
        let issuer = Issuer::start();
        issuer.says(status, json!({"error": error, "error_description": "the-description"}).to_string());
        let door = Door::open(guarded(exchange(), &service, &issuer));
        let alice = caller("alice");
        let answer = ask_as(&door, &alice);
        let problem = String::from_utf8_lossy(&answer.content).into_owned();
        assert_eq!(answer.status(), told, "{error}: {problem}");
        assert!(!problem.contains("description") && !problem.contains(&alice), "{problem}");
        // Remembered for a while, and one caller's trouble is not another's.
        assert_eq!((ask_as(&door, &alice).status(), issuer.count()), (told, 1), "{error}");
        issuer.says(200, token(60));
        assert_eq!(ask_as(&door, &caller("bob")).status(), 200, "{error}");
    }
}

#[test]
fn mistakes_are_found_before_anything_is_served() {
    let (service, issuer) = (service(&[]), Issuer::start());
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 8] = [
        ("there is no issuer 'other'", |all| {
            all["clusters"]["shop"]["credentials"]["client_credentials"]["client"]["issuer"] = json!("other");
        }),
        ("the issuer 'corp' has no token endpoint", |all| all["issuers"]["corp"]["endpoints"] = json!({})),
        ("cannot have credentials of its own", |all| {
            all["clusters"]["login"]["credentials"] = json!({"headers": {"x-a": "b"}});
        }),
        ("a client has a secret", |all| {
            all["clusters"]["shop"]["credentials"]["client_credentials"]["client"]["client_secret"] = Value::Null;
        }),
        ("'host' is not a header that can be set", |all| {
            all["clusters"]["shop"]["credentials"] = json!({"headers": {"host": "b"}});
        }),
        ("'x_consumer_id' is not a header that can be set", |all| {
            all["clusters"]["shop"]["credentials"] = json!({"headers": {"x_consumer_id": "b"}});
        }),
        ("'x-a' has a value that no header can hold", |all| {
            all["clusters"]["shop"]["credentials"] = json!({"headers": {"x-a": "sec\nret"}});
        }),
        ("a name has no colon", |all| {
            all["clusters"]["shop"]["credentials"] = json!({"basic": {"username": "a:b", "password": "secret"}});
        }),
    ];
    for (expected, change) in cases {
        let mut snapshot = with(client_credentials(), &service, &issuer);
        change(&mut snapshot);
        let wrong = compile(&snapshot).err().unwrap_or_default().join("\n");
        assert!(wrong.contains("cluster 'shop': credentials") && wrong.contains(expected), "{expected}: {wrong}");
        assert!(!wrong.contains("secret\"") && !wrong.contains("sec\n"), "{wrong}");
    }
}
