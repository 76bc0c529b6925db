//! Tokens that an issuer is asked about (RFC 7662), whatever it answers, through real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::door::{self, snapshot, until, Door};
use crate::endpoint::{Endpoint, OK};
use serde_json::{json, Value};

/// What the issuer answers, in raw bytes; None closes the connection.
type Script = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

struct State {
    script: Mutex<Script>,
    /// Heads and bodies.
    asked: Mutex<Vec<String>>,
    held: Mutex<bool>,
    released: Condvar,
}

#[derive(Clone)]
struct Issuer {
    address: SocketAddr,
    state: Arc<State>,
}

fn answer(status: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn active() -> Value {
    json!({
        "active": true, "iss": "https://login.example", "sub": "7", "aud": ["shop"], "token_type": "Bearer", "client_id": "app",
        "exp": now() + 600, "iat": now(), "scope": "read write", "tenant": "blue", "roles": ["staff"],
    })
}

impl Issuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            script: Mutex::new(Box::new(|_| answer("200 OK", &active().to_string()))),
            asked: Mutex::default(),
            held: Mutex::new(false),
            released: Condvar::new(),
        });
        let issuer = Self { address: listener.local_addr().unwrap(), state };
        let serving = issuer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let issuer = serving.clone();
                std::thread::spawn(move || issuer.serve(stream));
            }
        });
        issuer
    }

    fn serve(&self, mut stream: TcpStream) {
        let (mut unread, mut buffer) = (String::new(), [0; 65_536]);
        loop {
            let whole = unread.split_once("\r\n\r\n").and_then(|(head, rest)| {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let length: usize = length.unwrap_or(0);
                (rest.len() >= length).then(|| head.len() + 4 + length)
            });
            let Some(length) = whole else {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => unread.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
                }
                continue;
            };
            let request: String = unread.drain(..length).collect();
            self.state.asked.lock().unwrap().push(request.clone());
            let held = self.state.held.lock().unwrap();
            drop(self.state.released.wait_while(held, |held| *held).unwrap());
            let Some(text) = (self.state.script.lock().unwrap())(&request) else { return };
            // A text that ends with NUL is one after which the connection ends.
            let last = text.strip_suffix('\0');
            if stream.write_all(last.unwrap_or(&text).as_bytes()).is_err() || last.is_some() {
                return;
            }
        }
    }

    fn answers(&self, script: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    fn says(&self, claims: Value) {
        self.answers(move |_| answer("200 OK", &claims.to_string()));
    }

    fn asked(&self) -> usize {
        self.state.asked.lock().unwrap().len()
    }

    fn hold(&self, held: bool) {
        *self.state.held.lock().unwrap() = held;
        self.state.released.notify_all();
    }
}

fn scheme(parts: Value) -> Value {
    let mut token = json!({
        "audience": ["shop"], "skew_s": 5, "required": {"tenant": "blue"}, "max_bytes": 4096, "forward": false,
        "claims": {"subject": "/sub", "groups": "/roles", "scopes": null, "plan": null, "headers": {"x-app": "/client_id"}},
    });
    for (name, part) in parts.as_object().unwrap() {
        token[name] = part.clone();
    }
    json!({"introspection": {
        "issuer": "corp", "client_id": "the gate", "client_secret": "s3cr&t", "client_authentication": "client_secret_basic",
        "types": ["bearer", "dpop"], "timeout_ms": 2_000, "remember": {"active_ms": 60_000, "inactive_ms": 60_000}, "token": token,
    }})
}

struct Shop {
    door: Door,
    endpoint: Endpoint,
    issuer: Issuer,
}

impl Shop {
    fn open(change: impl FnOnce(&mut Value)) -> Self {
        let (endpoint, issuer) = (Endpoint::answering(OK), Issuer::start());
        let mut snapshot = snapshot(endpoint.address);
        snapshot["listeners"]["public"]["limits"]["head_bytes"] = json!(65_536);
        let mut login = snapshot["clusters"]["shop"].clone();
        login["endpoints"] = json!([{"authority": issuer.address.to_string(), "weight": 1}]);
        snapshot["clusters"]["login"] = login;
        let place = json!({"url": "https://login.example/ask", "authority": "login.example", "path": "/ask?x=1", "cluster": "login"});
        snapshot["issuers"] = json!({
            "corp": {"issuer": "https://login.example", "algorithms": [], "jwks": null, "public_keys": [], "secret": null,
                "endpoints": {"introspection": place}},
            "signing": {"issuer": "https://signing.example", "algorithms": ["HS256"], "jwks": null, "public_keys": [],
                "secret": "a secret that is long enough for HS256"},
        });
        let jwt = json!({"jwt": {
            "issuers": ["signing"], "audience": [], "types": [], "skew_s": 5, "required": {}, "max_bytes": 4096, "forward": false,
            "claims": {"subject": "/sub", "groups": null, "scopes": null, "plan": null, "headers": {}},
        }});
        let mut post = scheme(json!({}));
        post["introspection"]["client_authentication"] = json!("client_secret_post");
        post["introspection"]["client_id"] = json!("other");
        let step_up = json!({"step_up": {"acr_values": ["phr", "mfa"], "max_age_s": 300}});
        for (path, schemes) in [
            ("one", json!([scheme(json!({}))])),
            ("two", json!([scheme(json!({"forward": true}))])),
            ("post", json!([post])),
            ("both", json!([jwt.clone(), scheme(json!({}))])),
            ("jwt", json!([jwt])),
            ("step", json!([scheme(step_up)])),
        ] {
            let mut route = snapshot["routes"]["all"].clone();
            route["match"]["path"] = json!(format!("/{path}"));
            route["policies"] = json!({"authenticate": {"any": schemes}});
            snapshot["routes"][path] = route;
        }
        snapshot["routes"]["one"]["policies"]["authenticate"]["anonymous"] =
            json!({"groups": [], "scopes": [], "plan": null});
        change(&mut snapshot);
        Self { door: Door::open(snapshot), endpoint, issuer }
    }

    fn send(&self, path: &str, fields: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.door.address).unwrap();
        stream.set_read_timeout(Some(door::PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, path: &str, token: &str) -> (u16, String) {
        read(self.send(path, &format!("Authorization: Bearer {token}\r\n")))
    }
}

fn read(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn an_active_token_is_asked_about_once_and_says_who_it_is() {
    let shop = Shop::open(|_| {});
    for path in ["/one", "/one", "/two", "/both"] {
        assert_eq!(shop.ask(path, "opaque+/=").0, 200, "{path}");
    }
    assert_eq!(shop.issuer.asked(), 1);
    let question = shop.issuer.state.asked.lock().unwrap()[0].clone();
    assert!(question.starts_with("POST /ask?x=1 HTTP/1.1\r\n"), "{question}");
    // "the%20gate:s3cr%26t", RFC 6749 §2.3.1.
    assert!(question.to_lowercase().contains("authorization: basic dghljtiwz2f0ztpzm2nyjti2da==\r\n"), "{question}");
    assert!(question.ends_with("\r\n\r\ntoken=opaque%2B%2F%3D&token_type_hint=access_token"), "{question}");
    let seen = shop.endpoint.text().to_lowercase();
    for field in ["x-consumer-id: corp/7", "x-consumer-groups: staff", "x-consumer-scopes: read,write", "x-app: app"] {
        assert!(seen.contains(field), "{field}: {seen}");
    }
    assert_eq!(seen.matches("authorization: bearer opaque").count(), 1, "the route that forwards it: {seen}");
    assert_eq!(shop.ask("/post", "opaque").0, 200);
    let question = shop.issuer.state.asked.lock().unwrap()[1].clone();
    assert!(question.ends_with("&client_id=other&client_secret=s3cr%26t"), "{question}");
    assert!(!question.to_lowercase().contains("authorization:"), "{question}");
    shop.door.server.stop();
}

#[test]
fn an_introspected_token_is_exchanged_for_one_for_the_service() {
    let shop = Shop::open(|snapshot| {
        snapshot["issuers"]["corp"]["endpoints"]["token"] = json!({"url": "https://login.example/token",
            "authority": "login.example", "path": "/token", "cluster": "login"});
        snapshot["clusters"]["shop"]["credentials"] = json!({"token_exchange": {
            "client": {
                "issuer": "corp", "token_endpoint": null, "client_id": "gateway", "client_authentication": "client_secret_post",
                "client_secret": "s3cret", "private_key": null, "key_id": null, "algorithm": null, "assertion_audience": null,
                "scopes": [], "audience": ["orders"], "resource": [], "timeout_ms": 10_000,
            },
            "requested_token_type": null, "actor": false, "otherwise": "refuse",
        }});
    });
    shop.issuer.answers(|request| match request.starts_with("POST /token ") {
        true => answer("200 OK", r#"{"access_token":"for-orders","token_type":"Bearer","expires_in":"3600"}"#),
        false => answer("200 OK", &active().to_string()),
    });
    (0..2).for_each(|_| assert_eq!(shop.ask("/one", "opaque").0, 200));
    assert_eq!(shop.issuer.asked(), 2);
    let question = shop.issuer.state.asked.lock().unwrap()[1].clone();
    let kind = "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    for part in ["token-exchange&subject_token=opaque&", kind, "audience=orders"] {
        assert!(question.contains(part), "{part}: {question}");
    }
    let seen = shop.endpoint.text().to_lowercase();
    assert_eq!(seen.matches("authorization: bearer for-orders\r\n").count(), 2, "{seen}");
    assert!(!seen.contains("opaque"), "{seen}");
    shop.door.server.stop();
}

#[test]
fn what_is_not_active_or_not_for_us_is_refused() {
    let shop = Shop::open(|_| {});
    shop.issuer.says(json!({"active": false, "sub": "7"}));
    for _ in 0..3 {
        let (status, answer) = shop.ask("/one", "revoked");
        assert!(status == 401 && answer.contains("Bearer realm=\"stagedoor\", error=\"invalid_token\""), "{answer}");
    }
    assert_eq!(shop.issuer.asked(), 1, "that is remembered too");
    type Change = fn(&mut Value);
    let wrong: [(&str, Change); 18] = [
        ("another issuer", |said| said["iss"] = json!("https://login.example/")),
        ("issuer a number", |said| said["iss"] = json!(7)),
        ("expired", |said| said["exp"] = json!(now() - 6)),
        ("exp a text", |said| said["exp"] = json!("9999999999")),
        ("not yet", |said| said["nbf"] = json!(now() + 60)),
        ("from the future", |said| said["iat"] = json!(now() + 60)),
        ("another audience", |said| said["aud"] = json!("other")),
        ("no audience", |said| drop(said.as_object_mut().unwrap().remove("aud"))),
        ("no token_type", |said| drop(said.as_object_mut().unwrap().remove("token_type"))),
        ("a refresh token", |said| said["token_type"] = json!("refresh_token")),
        ("token_type a list", |said| said["token_type"] = json!(["Bearer"])),
        ("DPoP without a key", |said| said["token_type"] = json!("DPoP")),
        ("bound to a key", |said| said["cnf"] = json!({"jkt": "a"})),
        ("bound to a certificate", |said| said["cnf"] = json!({"x5t#S256": "a"})),
        ("bound in another way", |said| said["cnf"] = json!({"kid": "a"})),
        ("another tenant", |said| said["tenant"] = json!("red")),
        ("no subject", |said| drop(said.as_object_mut().unwrap().remove("sub"))),
        ("scopes an object", |said| said["scope"] = json!({})),
    ];
    for (name, change) in wrong {
        let mut said = active();
        change(&mut said);
        shop.issuer.says(said);
        let (status, answer) = shop.ask("/one", &name.replace(' ', "-"));
        assert!(status == 401 && answer.contains("error=\"invalid_token\""), "{name}: {answer}");
        assert!(!answer.contains("audience") && !answer.contains("tenant"), "{name}: {answer}");
    }
    // What an answer need not hold.
    shop.issuer.says(json!({"active": true, "sub": "7", "aud": "shop", "token_type": "bearer", "tenant": "blue"}));
    assert_eq!(shop.ask("/one", "terse").0, 200);
    // No token, no question; a wrong one is not anonymous.
    let asked = shop.issuer.asked();
    assert_eq!(read(shop.send("/one", "")).0, 200);
    for token in ["", &"a".repeat(5000)] {
        assert_eq!(shop.ask("/one", token).0, 401);
    }
    assert_eq!(read(shop.send("/one", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n")).0, 400);
    assert_eq!(read(shop.send("/one", "Authorization: DPoP a\r\n")).0, 401);
    assert_eq!(shop.issuer.asked(), asked);
    shop.door.server.stop();
}

#[test]
fn an_issuer_that_does_not_say_lets_nobody_in() {
    let shop = Shop::open(|_| {});
    let whole = |body: &str| answer("200 OK", body);
    let cases: Vec<(&str, Option<String>)> = vec![
        ("our credential is wrong", answer("401 Unauthorized", r#"{"active":true}"#)),
        ("an error", answer("500 Oops", &active().to_string())),
        ("a redirect", Some("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_owned())),
        ("no content", Some("HTTP/1.1 204 No Content\r\n\r\n".to_owned())),
        ("nothing", whole("")),
        ("a page", whole("<html>active: true</html>")),
        ("a list", whole("[true]")),
        ("no word on it", whole(r#"{"sub":"7"}"#)),
        ("a text", whole(r#"{"active":"true"}"#)),
        ("both", whole(r#"{"active":false,"active":true,"sub":"7"}"#)),
        ("deep", whole(&format!(r#"{{"active":true,"a":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000)))),
        ("too long", whole(&format!(r#"{{"active":true,"a":"{}"}}"#, "a".repeat(70_000)))),
        (
            "endless",
            Some(format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                format!("10000\r\n{}\r\n", "a".repeat(65_536)).repeat(20)
            )),
        ),
        ("cut off", Some("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"active\":true,".to_owned())),
        ("not HTTP", Some("active: true\r\n\r\n".to_owned())),
        ("closed", None),
    ];
    for (index, (name, raw)) in cases.into_iter().enumerate() {
        let cut = name == "cut off" || name == "endless";
        shop.issuer.answers(move |_| if cut { raw.clone().map(|raw| raw + "\u{0}") } else { raw.clone() });
        let (status, answer) = shop.ask("/one", &format!("token-{index}"));
        assert!(status == 503 && answer.contains("#authentication-unavailable"), "{name}: {answer}");
        // The next one asks anew.
        shop.issuer.says(active());
        assert_eq!(shop.ask("/one", &format!("token-{index}")).0, 200, "{name}");
    }
    shop.issuer.hold(true);
    let (status, answer) = shop.ask("/one", "silence");
    assert!(status == 503 && answer.contains("#authentication-unavailable"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");
    shop.issuer.hold(false);
    shop.door.server.stop();
}

#[test]
fn many_who_come_with_one_token_are_one_question_whoever_goes_away() {
    let shop = Shop::open(|_| {});
    shop.issuer.hold(true);
    drop(shop.send("/one", "Authorization: Bearer shared\r\n").shutdown(std::net::Shutdown::Both));
    until("the first question", || shop.issuer.asked() == 1);
    let waiting: Vec<TcpStream> = (0..20).map(|_| shop.send("/two", "Authorization: Bearer shared\r\n")).collect();
    shop.issuer.hold(false);
    for stream in waiting {
        assert_eq!(read(stream).0, 200);
    }
    assert_eq!(shop.issuer.asked(), 1);
    shop.door.server.stop();
}

#[test]
fn an_answer_is_believed_no_longer_than_the_token_lives_and_not_at_all_where_nothing_is_remembered() {
    let shop = Shop::open(|snapshot| {
        let none = json!({"active_ms": 0, "inactive_ms": 0});
        let remember =
            &mut snapshot["routes"]["post"]["policies"]["authenticate"]["any"][0]["introspection"]["remember"];
        *remember = none.clone();
        let mut fresh = snapshot["routes"]["one"].clone();
        fresh["match"]["path"] = json!("/fresh");
        fresh["policies"]["authenticate"]["any"][0]["introspection"]["remember"] = none;
        snapshot["routes"]["fresh"] = fresh;
    });
    shop.issuer.answers(|_| {
        let mut said = active();
        said["exp"] = json!(now() + 1);
        answer("200 OK", &said.to_string())
    });
    until("the token is asked about again", || shop.ask("/one", "short").0 == 200 && shop.issuer.asked() >= 2);
    let asked = shop.issuer.asked();
    for _ in 0..2 {
        assert_eq!(shop.ask("/post", "fresh").0, 200);
    }
    assert_eq!(shop.issuer.asked(), asked + 2);
    // Of two routes with one client, what one remembers is no answer for the other that wants a fresh one.
    shop.issuer.says(active());
    let asked = shop.issuer.asked();
    for path in ["/one", "/fresh", "/fresh", "/one"] {
        assert_eq!(shop.ask(path, "long").0, 200);
    }
    assert_eq!(shop.issuer.asked(), asked + 3);
    shop.door.server.stop();
}

#[test]
fn whoever_guesses_is_held_up_and_known_tokens_are_not() {
    let shop = Shop::open(|_| {});
    assert_eq!(shop.ask("/one", "good").0, 200);
    shop.issuer.says(json!({"active": false}));
    let mut guesses = 0;
    until("a guess is held up", || {
        guesses += 1;
        // Whatever the client says of its address.
        let fields = format!(
            "Authorization: Bearer guess-{guesses}\r\nX-Forwarded-For: 203.0.113.{guesses}\r\nForwarded: for=203.0.113.{guesses}\r\n"
        );
        let (status, answer) = read(shop.send("/one", &fields));
        assert!(status == 401 || (status == 429 && answer.to_lowercase().contains("retry-after:")), "{answer}");
        status == 429
    });
    assert!(guesses > 100 && shop.issuer.asked() == guesses, "{guesses}");
    assert_eq!(shop.ask("/one", "good").0, 200);
    shop.door.server.stop();
}

#[test]
fn a_token_of_no_form_is_the_next_schemes_and_every_challenge_stands_once() {
    let shop = Shop::open(|_| {});
    let challenges = |answer: &str| -> Vec<String> {
        answer.lines().filter_map(|line| line.strip_prefix("www-authenticate: ")).map(str::to_owned).collect()
    };
    assert_eq!(shop.ask("/both", "opaque").0, 200);
    let (status, answer) = read(shop.send("/both", ""));
    assert_eq!((status, challenges(&answer)), (401, vec!["Bearer realm=\"stagedoor\"".to_owned()]));
    shop.issuer.says(json!({"active": false}));
    for (path, token) in [("/both", "revoked"), ("/jwt", "opaque")] {
        let (status, answer) = shop.ask(path, token);
        let expected = vec!["Bearer realm=\"stagedoor\", error=\"invalid_token\"".to_owned()];
        assert_eq!((status, challenges(&answer)), (401, expected), "{path}");
    }
    shop.door.server.stop();
}

#[test]
fn a_user_who_was_not_authenticated_well_enough_is_told_how() {
    let shop = Shop::open(|_| {});
    for (index, (acr, ago, status)) in [
        (Some("phr"), Some(10), 200),
        (Some("mfa"), Some(300), 200),
        (Some("pwd"), Some(10), 401),
        (None, Some(10), 401),
        (Some("phr"), Some(400), 401),
        (Some("phr"), None, 401),
    ]
    .into_iter()
    .enumerate()
    {
        let mut said = active();
        if let Some(acr) = acr {
            said["acr"] = json!(acr);
        }
        if let Some(ago) = ago {
            said["auth_time"] = json!(now() - ago);
        }
        shop.issuer.says(said);
        let (found, answer) = shop.ask("/step", &format!("token-{index}"));
        assert_eq!(found, status, "{answer}");
        let expected = "Bearer realm=\"stagedoor\", error=\"insufficient_user_authentication\", acr_values=\"phr mfa\", max_age=\"300\"";
        assert!(status == 200 || answer.contains(expected), "{answer}");
    }
    shop.door.server.stop();
}
