//! Logins of browsers against a provider that the test plays, honest and otherwise, through real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::provider::{self, Answer, Provider};
use serde_json::{json, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::server::Server;
use stagedoor_dataplane::shared::Shared;

const SECRET: &str = "a secret that seals sessions, long enough";
type Change = fn(&mut Value);
const PAGE: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

fn oidc() -> Value {
    json!({
        "issuer": "corp", "client_id": "shop", "client_secret": "s3cr&t +", "client_authentication": "client_secret_basic",
        "scopes": ["openid", "profile"], "parameters": {"prompt": "login"}, "origin": null, "require_iss": true,
        "redirect_path": "/oauth2/callback", "logout_path": "/oauth2/logout", "after_logout": "/goodbye",
        "session": {"secrets": [SECRET], "lifetime_s": 3600, "idle_s": 600, "cookie": "stagedoor"},
        "skew_s": 30, "required": {}, "claims": {"subject": "/sub", "groups": "/groups", "scopes": null, "plan": null, "headers": {"x-tenant": "/tenant"}},
        "timeout_ms": 10_000,
    })
}

fn snapshot(provider: &Provider, change: impl FnOnce(&mut Value)) -> Value {
    let mut settings = oidc();
    let mut snapshot = json!({
        "workers": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "consumers": {},
        "clusters": {"login": cluster(&provider.address.to_string()), "shop": cluster(&provider.address.to_string())},
        "issuers": {"corp": {
            "issuer": provider::ISSUER, "algorithms": ["ES256"], "jwks": provider.jwks(), "public_keys": [], "secret": null,
            "endpoints": {
                "authorization": endpoint("https://login.example/authorize?tenant=blue", Value::Null),
                "token": endpoint("https://login.example/token", json!("login")),
                "end_session": endpoint("https://login.example/end", Value::Null),
            },
        }},
        "routes": {"all": {
            "match": {"hosts": [], "path": "/{rest...}", "methods": [], "headers": {}, "query": {}},
            "priority": 0,
            "policies": {},
            "target": {"cluster": {"cluster": "shop", "path": null}},
        }},
    });
    settings["snapshot"] = Value::Null;
    let mut both = json!({"oidc": settings, "snapshot": snapshot});
    change(&mut both);
    snapshot = both["snapshot"].take();
    let mut settings = both["oidc"].take();
    settings.as_object_mut().expect("a map").remove("snapshot");
    snapshot["routes"]["all"]["policies"]["authenticate"] = json!({"any": [{"oidc": settings}]});
    snapshot
}

fn endpoint(url: &str, cluster: Value) -> Value {
    json!({"url": url, "authority": "login.example", "path": "/token", "cluster": cluster})
}

fn cluster(authority: &str) -> Value {
    json!({
        "endpoints": [{"authority": authority, "weight": 1}], "balance": "round_robin", "connect_ms": 10_000,
        "request_ms": 60_000,
        "retry": {"attempts": 0, "connect_failure": true, "statuses": [], "budget_percent": 20},
        "ejection": {"failures": 0, "base_ms": 60_000, "max_ms": 60_000},
        "pool": {"idle": 8, "idle_ms": 60_000, "connections": 8},
    })
}

struct Shop {
    provider: Provider,
    server: Server,
}

struct Reply {
    status: u16,
    text: String,
}

impl Reply {
    fn header(&self, name: &'static str) -> Option<&str> {
        self.headers(name).next()
    }

    fn headers(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n").filter_map(move |line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location in {}", self.text))
    }

    fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// What one browser keeps.
#[derive(Clone, Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    https: bool,
}

impl Browser {
    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.headers("set-cookie") {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"), "{cookie}");
            assert!(attributes.contains("Path=/;"), "{cookie}");
            assert_eq!(attributes.contains("Secure"), self.https, "{cookie}");
            assert_eq!(name.starts_with("__Host-"), self.https, "{cookie}");
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    fn field(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        match pairs.is_empty() {
            true => String::new(),
            false => format!("Cookie: theme=dark; {}\r\n", pairs.join("; ")),
        }
    }

    fn session(&self) -> Option<&String> {
        self.cookies.get("stagedoor").or(self.cookies.get("__Host-stagedoor"))
    }
}

impl Shop {
    fn open() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let provider = Provider::start();
        let snapshot = snapshot(&provider, change);
        let server = Server::start(&serde_json::from_value(snapshot).expect("a snapshot")).expect("started");
        Self { provider, server }
    }

    fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.server.addresses()["public"]).expect("connected");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("read");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, text }
    }

    fn ask(&self, browser: &mut Browser, method: &str, path: &str, fields: &str) -> Reply {
        let scheme = if browser.https { "X-Forwarded-Proto: https\r\n" } else { "" };
        let reply = self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{scheme}{fields}{}\r\n",
            browser.field()
        ));
        browser.keep(&reply);
        reply
    }

    fn page(&self, browser: &mut Browser, path: &str) -> Reply {
        self.ask(browser, "GET", path, PAGE)
    }

    /// Sent to the provider: the parameters of that.
    fn begin(&self, browser: &mut Browser, path: &str) -> BTreeMap<String, String> {
        let reply = self.page(browser, path);
        assert_eq!(reply.status, 302, "{}", reply.text);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        parameters(reply.location())
    }

    /// Back from the provider with a code.
    fn back(&self, browser: &mut Browser, asked: &BTreeMap<String, String>) -> Reply {
        self.provider.expect(asked);
        self.page(browser, &callback(asked, "the-code"))
    }

    fn log_in(&self, browser: &mut Browser) {
        let asked = self.begin(browser, "/account");
        let reply = self.back(browser, &asked);
        assert_eq!((reply.status, reply.location()), (302, "/account"), "{}", reply.text);
    }
}

fn callback(asked: &BTreeMap<String, String>, code: &str) -> String {
    format!("/oauth2/callback?code={code}&state={}&iss={}", asked["state"], provider::ISSUER.replace(':', "%3A"))
}

fn parameters(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').expect("a query").1;
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().expect("text").into_owned();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[test]
fn a_user_logs_in_and_the_endpoint_sees_who_it_is_and_no_cookie_of_ours() {
    for https in [false, true] {
        let shop = Shop::open();
        let mut browser = Browser { https, ..Browser::default() };
        let asked = shop.begin(&mut browser, "/account?tab=1");
        let scheme = if https { "https" } else { "http" };
        assert_eq!(asked["redirect_uri"], format!("{scheme}://shop.example/oauth2/callback"));
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", "shop"));
        assert_eq!((asked["scope"].as_str(), asked["tenant"].as_str()), ("openid profile", "blue"));
        assert_eq!((asked["code_challenge_method"].as_str(), asked["prompt"].as_str()), ("S256", "login"));
        let reply = shop.back(&mut browser, &asked);
        assert_eq!((reply.status, reply.location()), (302, "/account?tab=1"), "{}", reply.text);
        assert_eq!(browser.cookies.len(), 1, "the attempt is forgotten");
        // What the provider was asked has been compared by the provider itself.
        for _ in 0..2 {
            let reply = shop.ask(&mut browser, "GET", "/account?tab=1", "X-Tenant: evil\r\nX_Tenant: evil\r\n");
            assert_eq!(reply.status, 200, "{}", reply.text);
            let seen = reply.body().to_lowercase();
            assert!(seen.contains("x-consumer-id: corp/alice\r\n") && seen.contains("x-consumer-groups: staff,night"));
            assert!(seen.contains("x-tenant: blue\r\n") && !seen.contains("evil"), "{seen}");
            assert!(seen.contains("cookie: theme=dark\r\n"), "{seen}");
            assert_eq!(reply.header("set-cookie"), None, "a fresh session needs no new cookie");
        }
    }
}

/// What a token endpoint that the test plays was asked; it has one token for all.
fn exchanging() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (told, asked)) = (listener.local_addr().unwrap().to_string(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut text, mut buffer) = (String::new(), [0; 65_536]);
            // The form has the type of the token as its last word but one.
            while !text.contains("subject_token_type=") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
                }
            }
            let answer = r#"{"access_token":"for-shop","token_type":"Bearer","expires_in":3600}"#;
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
            let _sent = stream.write_all(format!("{head}{answer}").as_bytes());
            let _told = told.send(text);
        }
    });
    (address, asked)
}

#[test]
fn a_sessions_id_token_is_exchanged_for_one_for_the_service() {
    let (address, asked) = exchanging();
    let shop = Shop::with(|both| {
        let snapshot = &mut both["snapshot"];
        snapshot["clusters"]["exchange"] = cluster(&address);
        snapshot["clusters"]["shop"]["credentials"] = json!({"token_exchange": {
            "client": {
                "issuer": null, "token_endpoint": endpoint("https://exchange.example/token", json!("exchange")),
                "client_id": "gateway", "client_authentication": "client_secret_basic", "client_secret": "s3cret",
                "private_key": null, "key_id": null, "algorithm": null, "assertion_audience": null, "scopes": [],
                "audience": [], "resource": [], "timeout_ms": 10_000,
            },
            "requested_token_type": null, "actor": false, "otherwise": "refuse",
        }});
    });
    let mut browser = Browser::default();
    shop.log_in(&mut browser);
    for _ in 0..2 {
        let reply = shop.ask(&mut browser, "GET", "/account", "Authorization: Bearer mine\r\n");
        assert_eq!(reply.status, 200, "{}", reply.text);
        let seen = reply.body().to_lowercase();
        assert!(seen.contains("authorization: bearer for-shop\r\n") && !seen.contains("mine"), "{seen}");
    }
    let question = asked.recv().unwrap();
    assert!(question.contains("urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token"), "{question}");
    let form = question.split("subject_token=").nth(1).unwrap().split('&').next().unwrap();
    assert_eq!(form.split('.').count(), 3, "{question}");
    assert!(asked.try_recv().is_err(), "one for the session");
}

#[test]
fn only_who_asks_for_a_page_is_redirected_and_scripts_get_401() {
    let shop = Shop::open();
    for (method, fields) in [
        ("GET", "Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n"),
        ("GET", "Accept: application/json\r\n"),
        ("GET", ""),
        ("GET", "X-Requested-With: XMLHttpRequest\r\nAccept: text/html\r\n"),
        ("HEAD", PAGE),
        ("POST", PAGE),
        ("DELETE", PAGE),
    ] {
        let reply = shop.ask(&mut Browser::default(), method, "/account", fields);
        assert_eq!(reply.status, 401, "{method} {fields}");
        assert_eq!(reply.header("www-authenticate"), Some("Cookie realm=\"stagedoor\""));
        assert_eq!(reply.header("set-cookie"), None, "no attempt begins");
    }
    let reply = shop.ask(&mut Browser::default(), "GET", "/account", "Accept: text/html\r\n");
    assert_eq!(reply.status, 302, "a browser without Fetch Metadata");
}

#[test]
fn nobody_is_sent_to_another_origin_after_the_login() {
    let shop = Shop::open();
    for path in ["//evil.example/", "/%5Cevil.example", "/a?b=//evil.example", "/%2F%2Fevil.example", "/\\evil.example"]
    {
        let mut browser = Browser::default();
        let reply = shop.page(&mut browser, path);
        if reply.status != 302 {
            assert_eq!(reply.status, 400, "{path}");
            continue;
        }
        let asked = parameters(reply.location());
        let reply = shop.back(&mut browser, &asked);
        assert_eq!(reply.status, 302);
        let back = reply.location();
        assert!(back.starts_with('/') && !back.starts_with("//") && !back.starts_with("/\\"), "{path}: {back}");
    }
}

#[test]
fn a_callback_without_its_browsers_attempt_is_refused() {
    let shop = Shop::open();
    let mut victim = Browser::default();
    let mut attacker = Browser::default();
    let asked = shop.begin(&mut attacker, "/account");
    shop.provider.expect(&asked);
    // A state that was stolen, or a login that is pushed on somebody.
    let reply = shop.page(&mut victim, &callback(&asked, "the-code"));
    assert_eq!(reply.status, 400, "{}", reply.text);
    let of_victim = shop.begin(&mut victim, "/account");
    let reply = shop.page(&mut victim, &callback(&asked, "the-code"));
    assert_eq!(reply.status, 400);
    assert!(victim.session().is_none());
    // The attempt's cookie under the name of another state.
    let mut forged = Browser::default();
    let text = victim.cookies.values().next().expect("an attempt").clone();
    forged.cookies.insert(format!("stagedoor-login-{}", &asked["state"][..16]), text);
    assert_eq!(shop.page(&mut forged, &callback(&asked, "the-code")).status, 400);
    assert_eq!(shop.provider.asked(), 0, "no code was exchanged");
    let reply = shop.back(&mut victim, &of_victim);
    assert_eq!(reply.status, 302, "the victim's own login goes on");
}

#[test]
fn a_callback_works_once() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    let asked = shop.begin(&mut browser, "/account");
    let mut copied = browser.clone();
    assert_eq!(shop.back(&mut browser, &asked).status, 302);
    assert_eq!(shop.page(&mut browser, &callback(&asked, "the-code")).status, 400);
    let reply = shop.page(&mut copied, &callback(&asked, "the-code"));
    assert_eq!(reply.status, 400, "also for who kept the attempt's cookie");
    assert!(copied.session().is_none());
    assert_eq!(shop.provider.asked(), 1);
}

#[test]
fn an_answer_of_another_issuer_or_of_none_is_refused_before_its_code_is_shown() {
    let shop = Shop::open();
    for (iss, status) in [("&iss=https%3A%2F%2Fevil.example", 400), ("", 400), ("&iss=a&iss=a", 400)] {
        let mut browser = Browser::default();
        let asked = shop.begin(&mut browser, "/account");
        shop.provider.expect(&asked);
        let path = format!("/oauth2/callback?code=the-code&state={}{iss}", asked["state"]);
        let reply = shop.page(&mut browser, &path);
        assert_eq!(reply.status, status, "{iss}");
        assert!(browser.session().is_none());
    }
    assert_eq!(shop.provider.asked(), 0);
}

#[test]
fn an_error_of_the_provider_is_told_and_not_tried_for_ever() {
    let shop = Shop::open();
    for (error, status) in [("access_denied", 403), ("temporarily_unavailable", 503), ("%0d%0aSet-Cookie:x", 403)] {
        let mut browser = Browser::default();
        let asked = shop.begin(&mut browser, "/account");
        let path = callback(&asked, "").replace("code=", &format!("error={error}"));
        let reply = shop.page(&mut browser, &path);
        assert_eq!(reply.status, status, "{}", reply.text);
        assert!(browser.session().is_none());
    }
}

#[test]
fn an_id_token_that_is_not_for_this_login_is_refused() {
    let cases: [(&str, Change); 12] = [
        ("nonce", |claims| claims["nonce"] = json!("another")),
        ("no nonce", |claims| drop(claims.as_object_mut().unwrap().remove("nonce"))),
        ("iss", |claims| claims["iss"] = json!("https://evil.example")),
        ("aud", |claims| claims["aud"] = json!("another")),
        ("azp", |claims| claims["azp"] = json!("another")),
        ("several audiences without azp", |claims| claims["aud"] = json!(["shop", "another"])),
        ("exp", |claims| claims["exp"] = json!(1_000_000)),
        ("no exp", |claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ("iat", |claims| claims["iat"] = json!(9_000_000_000_u64)),
        ("sub", |claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
        ("at_hash", |claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("no groups but numbers", |claims| claims["groups"] = json!([1, 2])),
    ];
    let shop = Shop::open();
    for (what, change) in cases {
        let mut browser = Browser::default();
        let asked = shop.begin(&mut browser, "/account");
        shop.provider.next(Answer::Changed(change));
        let reply = shop.back(&mut browser, &asked);
        assert_eq!(reply.status, 403, "{what}: {}", reply.text);
        assert!(browser.session().is_none(), "{what}");
        assert!(!reply.body().contains("nonce"), "which check it was is for the log");
    }
    for answer in [Answer::ForeignKey, Answer::Unsigned, Answer::NoIdToken] {
        let mut browser = Browser::default();
        let asked = shop.begin(&mut browser, "/account");
        shop.provider.next(answer);
        assert_eq!(shop.back(&mut browser, &asked).status, 403);
        assert!(browser.session().is_none());
    }
    // The same provider still logs in who is honest.
    shop.log_in(&mut Browser::default());
}

#[test]
fn a_session_that_was_changed_cut_or_made_too_large_is_no_session() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    shop.log_in(&mut browser);
    let right = browser.session().expect("a session").clone();
    let mut wrong = vec![String::new(), "1.".to_owned(), "1".to_owned(), "5.AAAA".to_owned(), "zzz".to_owned()];
    wrong.push(format!("1.{}", "A".repeat(15_000)));
    wrong.push(right[..right.len() - 2].to_owned());
    for index in (0..right.len()).step_by(101) {
        let mut damaged = right.clone().into_bytes();
        damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
        wrong.push(String::from_utf8(damaged).expect("text"));
    }
    for wrong in wrong {
        let mut forged = Browser { cookies: BTreeMap::from([("stagedoor".to_owned(), wrong)]), https: false };
        assert_eq!(shop.ask(&mut forged.clone(), "GET", "/account", "").status, 401);
        let reply = shop.page(&mut forged, "/account");
        assert_eq!(reply.status, 302, "a user logs in again");
        assert!(forged.session().is_none(), "and the wrong one is forgotten");
    }
    // The attempt's cookie is no session, nor is another client's, although both are sealed by us.
    let mut other = Browser::default();
    shop.begin(&mut other, "/account");
    let attempt = other.cookies.values().next().expect("an attempt").clone();
    let mut forged =
        Browser { cookies: BTreeMap::from([("stagedoor".to_owned(), format!("1.{attempt}"))]), https: false };
    assert_eq!(shop.ask(&mut forged, "GET", "/account", "").status, 401);
    let neighbour = Shop::with(|both| both["oidc"]["client_id"] = json!("neighbour"));
    assert_eq!(neighbour.ask(&mut browser.clone(), "GET", "/account", "").status, 401);
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 200);
}

#[test]
fn the_secret_can_be_changed_without_logging_anybody_out() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    shop.log_in(&mut browser);
    let apply = |secrets: Value| {
        let snapshot = snapshot(&shop.provider, |both| both["oidc"]["session"]["secrets"] = secrets);
        shop.server.apply(&serde_json::from_value(snapshot).expect("a snapshot")).expect("applied");
    };
    apply(json!(["another secret that seals sessions now", SECRET]));
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 200);
    apply(json!(["another secret that seals sessions now"]));
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 401);
}

#[test]
fn a_large_session_is_cut_into_cookies_and_one_too_large_is_refused() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    let asked = shop.begin(&mut browser, "/account");
    shop.provider.next(Answer::Changed(|claims| claims["padding"] = json!("p".repeat(6000))));
    assert_eq!(shop.back(&mut browser, &asked).status, 302);
    assert!(browser.cookies.len() > 2, "{}", browser.cookies.len());
    let reply = shop.page(&mut browser, "/account");
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.body().contains("theme=dark\r\n"), "{}", reply.text);
    let mut incomplete = browser.clone();
    incomplete.cookies.remove("stagedoor.1");
    assert_eq!(shop.ask(&mut incomplete, "GET", "/account", "").status, 401);
    let asked = shop.begin(&mut incomplete, "/account");
    shop.provider.next(Answer::Changed(|claims| claims["padding"] = json!("p".repeat(30_000))));
    let reply = shop.back(&mut incomplete, &asked);
    assert_eq!(reply.status, 500, "{}", reply.text);
    assert!(incomplete.session().is_none());
}

#[test]
fn a_browser_has_few_attempts_under_way() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    for _ in 0..20 {
        shop.begin(&mut browser, "/account");
        assert!(browser.cookies.len() <= 5, "{:?}", browser.cookies.keys());
    }
}

#[test]
fn a_logout_ends_the_session_here_and_at_the_provider() {
    for (method, from) in [("GET", "Sec-Fetch-Site: same-origin\r\n"), ("POST", "Origin: http://shop.example\r\n")] {
        let shop = Shop::open();
        let mut browser = Browser::default();
        shop.log_in(&mut browser);
        let copied = browser.clone();
        assert_eq!(shop.ask(&mut copied.clone(), "GET", "/account", "").status, 200);
        let reply = shop.ask(&mut browser, method, "/oauth2/logout", from);
        assert_eq!(reply.status, 303, "{}", reply.text);
        assert!(reply.location().starts_with("https://login.example/end?client_id=shop&"));
        let asked = parameters(reply.location());
        assert_eq!(asked["post_logout_redirect_uri"], "http://shop.example/goodbye");
        assert_eq!(asked["id_token_hint"].split('.').count(), 3);
        assert!(browser.cookies.is_empty());
        // Who kept the cookie cannot use it any more.
        assert_eq!(shop.ask(&mut copied.clone(), "GET", "/account", "").status, 401);
        let reply = shop.ask(&mut browser, method, "/oauth2/logout", from);
        assert_eq!((reply.status, reply.location()), (303, "/goodbye"), "nobody is there to log out");
    }
}

#[test]
fn another_site_logs_nobody_out() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    shop.log_in(&mut browser);
    for (method, from) in [
        ("GET", "Sec-Fetch-Site: cross-site\r\n"),
        ("GET", "Sec-Fetch-Site: same-site\r\n"),
        ("POST", "Origin: https://evil.example\r\n"),
        ("POST", "Origin: null\r\n"),
        ("GET", "Referer: https://evil.example/shop.example\r\n"),
        ("GET", ""),
    ] {
        let reply = shop.ask(&mut browser, method, "/oauth2/logout", from);
        assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{method} {from}");
    }
    assert_eq!(shop.ask(&mut browser, "PUT", "/oauth2/logout", "").status, 405);
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 200);
}

#[test]
fn a_session_is_refreshed_when_its_access_token_ends() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    let asked = shop.begin(&mut browser, "/account");
    shop.provider.next(Answer::EndsIn(0));
    assert_eq!(shop.back(&mut browser, &asked).status, 302);
    let before = browser.session().expect("a session").clone();
    let late = browser.clone();
    let reply = shop.ask(&mut browser, "POST", "/account", "");
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), Some("private"), "no shared cache may keep a cookie");
    assert_eq!(shop.provider.asked(), 2);
    assert_ne!(browser.session(), Some(&before));
    // The new one needs nothing; requests that were sent with the old one share what the provider has said once.
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").header("set-cookie"), None);
    for _ in 0..3 {
        assert_eq!(shop.ask(&mut late.clone(), "GET", "/account", "").status, 200);
    }
    assert_eq!(shop.provider.asked(), 2, "a refresh token is shown once");
}

#[test]
fn many_requests_at_once_refresh_once() {
    let shop = Shop::with(|both| both["snapshot"]["workers"] = json!(2));
    let mut browser = Browser::default();
    let asked = shop.begin(&mut browser, "/account");
    shop.provider.next(Answer::EndsIn(0));
    assert_eq!(shop.back(&mut browser, &asked).status, 302);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(shop.ask(&mut browser.clone(), "GET", "/account", "").status, 200));
        }
    });
    assert_eq!(shop.provider.asked(), 2);
}

#[test]
fn a_session_that_the_provider_does_not_prolong_is_over() {
    let answers = [Answer::Refused, Answer::Changed(|claims| claims["sub"] = json!("mallory")), Answer::ForeignKey];
    for answer in answers {
        let shop = Shop::open();
        let mut browser = Browser::default();
        let asked = shop.begin(&mut browser, "/account");
        shop.provider.next(Answer::EndsIn(0));
        assert_eq!(shop.back(&mut browser, &asked).status, 302);
        shop.provider.next(answer);
        assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 401, "{answer:?}");
        shop.begin(&mut browser, "/account");
        assert!(browser.session().is_none());
    }
}

#[test]
fn without_its_provider_nobody_is_let_in_and_nobody_is_logged_out() {
    let shop = Shop::open();
    let mut browser = Browser::default();
    let asked = shop.begin(&mut browser, "/account");
    for answer in [Answer::Unavailable, Answer::Nonsense, Answer::Closed] {
        shop.provider.next(answer);
        let reply = shop.back(&mut browser, &asked);
        assert_eq!(reply.status, 503, "{answer:?} {}", reply.text);
        assert!(reply.body().contains("authentication-unavailable") && browser.session().is_none());
    }
    shop.provider.next(Answer::EndsIn(0));
    assert_eq!(shop.back(&mut browser, &asked).status, 302, "it is there again, and the attempt still counts");
    for answer in [Answer::Unavailable, Answer::Nonsense, Answer::Closed] {
        shop.provider.next(answer);
        assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 503, "{answer:?}");
        assert!(browser.session().is_some());
    }
    assert_eq!(shop.ask(&mut browser, "GET", "/account", "").status, 200);
}

#[test]
fn a_client_shows_its_secret_as_it_is_configured_to() {
    for (authentication, secret) in [("client_secret_post", json!("s3cr&t +")), ("none", Value::Null)] {
        let shop = Shop::with(|both| {
            both["oidc"]["client_authentication"] = json!(authentication);
            both["oidc"]["client_secret"] = secret.clone();
        });
        shop.provider.authentication(authentication);
        shop.log_in(&mut Browser::default());
    }
}

#[test]
fn what_cannot_work_is_an_error_of_the_configuration_that_shows_no_secret() {
    let provider = Provider::start();
    let cases: [(&str, Change); 6] = [
        ("no issuer 'nobody'", |both| both["oidc"]["issuer"] = json!("nobody")),
        ("has no authorization endpoint", |both| both["snapshot"]["issuers"]["corp"]["endpoints"] = json!({})),
        ("fewer than 32 bytes", |both| both["oidc"]["session"]["secrets"] = json!(["short-secret"])),
        ("not a path of ours", |both| both["oidc"]["after_logout"] = json!("//evil.example")),
        ("are the same", |both| both["oidc"]["logout_path"] = json!("/oauth2/callback")),
        ("cookie: '__Host-x'", |both| both["oidc"]["session"]["cookie"] = json!("__Host-x")),
    ];
    for (told, change) in cases {
        let snapshot = serde_json::from_value(snapshot(&provider, change)).expect("a snapshot");
        let report = Program::compile(&snapshot, &Shared::new(1)).err().expect("errors");
        let text = format!("{report:?}");
        assert!(text.contains(told) && !text.contains("short-secret"), "{told}: {text}");
    }
}
