//! What is known against caches: errors kept for all, pages of one kept under another's name, URLs and queries that two
//! sides read differently.

use serde_json::json;

use super::{answer, ask, door, ok, service, status, text};
use crate::endpoint::Endpoint;

const LONG: &str =
    "bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad, bad";

/// A service that stumbles over anything odd, and says that everybody may have that.
fn brittle() -> Endpoint {
    service(|head, _| {
        let lower = head.to_ascii_lowercase();
        let fields = "Cache-Control: public, max-age=60";
        match () {
            () if lower.contains("method-override: ") => answer("405 Method Not Allowed", fields, "which method"),
            () if lower.contains("authorization: bad") => answer("401 Unauthorized", fields, "who"),
            () if lower.contains("bad, bad") => answer("431 Request Header Fields Too Large", fields, "too much"),
            () if lower.contains(": bad") => answer("500 Internal Server Error", fields, "oops"),
            () => ok(fields, "page"),
        }
    })
}

/// CPDoS: by what a request brings along that is not in the key, its error must not become everybody's.
#[test]
fn an_error_that_one_request_is_to_blame_for_is_nobody_elses() {
    let endpoint = brittle();
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let accept_language = format!("Accept-Language: {LONG}");
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let attacks = [
        // what it brings, and whether the service gets to see it
        ("Accept: bad", true),
        (&accept_language, true),
        (&format!("Accept-Encoding: {LONG}"), false),
        (&format!("Via: 1.1 {LONG}"), true),
        (&format!("Cache-Control: x=\"{LONG}\""), true),
        (&format!("Pragma: {LONG}"), true),
        (&format!("{trace}|tracestate: a={LONG}"), true),
        ("traceparent: bad", false),
        ("Authorization: bad", true),
        ("X-Other: bad", false),
        (&format!("X-Oversized: {LONG}"), false),
        ("X-HTTP-Method-Override: DELETE", false),
        ("X-Method-Override: DELETE", false),
    ];
    for (index, (fields, seen)) in attacks.into_iter().enumerate() {
        // Whether something is stored already or not.
        for (path, insists) in [(format!("/{index}"), ""), (format!("/kept/{index}"), "Cache-Control: no-cache|")] {
            if !insists.is_empty() {
                assert_eq!(text(&ask(&mut client, &format!("GET {path}"), "")), "page");
            }
            let attack = ask(&mut client, &format!("GET {path}"), &format!("{insists}{fields}"));
            assert_eq!(attack.status() >= 400, seen, "{fields}: {}", text(&attack));
            for usual in ["", "Accept: text/html|Accept-Language: de"] {
                let got = ask(&mut client, &format!("GET {path}"), usual);
                assert_eq!((got.status(), text(&got).as_str()), (200, "page"), "{insists}{fields}");
            }
            assert!(status(&ask(&mut client, &format!("GET {path}"), "")).contains("; hit"), "{insists}{fields}");
        }
    }
}

/// What is malformed or too long is refused before the cache, and what else is an error is kept: for who asks alike, or of a URL for everybody.
#[test]
fn errors_of_the_gateway_are_not_kept_and_others_are() {
    let endpoint = service(|head, _| match head.split(' ').nth(1) {
        Some("/page") => ok("Cache-Control: max-age=60", "page"),
        Some("/busy") => answer("503 Service Unavailable", "Cache-Control: max-age=60", "later"),
        _ => answer("404 Not Found", "Cache-Control: max-age=60", "nothing"),
    });
    let door = door(&endpoint, json!({"ttl_s": {"400": 60, "431": 60, "501": 60, "504": 60}}));
    for (malformed, code) in [
        (format!("X-Long: {}", "x".repeat(3000)), 431),
        ("X-Control: a\u{7}b".to_owned(), 400),
        ("X Name: a".to_owned(), 400),
        ("Content-Length: 1, 2".to_owned(), 400),
        ("Transfer-Encoding: odd".to_owned(), 400),
    ] {
        let request = format!("GET /page HTTP/1.1\r\nHost: shop.example\r\n{malformed}\r\n\r\n");
        let refused = door.client().ask(request.as_bytes());
        assert_eq!(refused.status(), code, "{malformed}");
    }
    assert_eq!(endpoint.requests(), 0);
    let mut client = door.client();
    assert_eq!(ask(&mut client, "GET /page", "Cache-Control: only-if-cached").status(), 504);
    assert_eq!(text(&ask(&mut client, "GET /page", "")), "page");
    for fields in ["", "Accept: */*|Accept-Language: *|Cache-Control: x=1|Via: 1.1 inner"] {
        let busy = ask(&mut client, "GET /busy", fields);
        assert!(busy.status() == 503 && status(&busy).contains("; stored"), "{}", status(&busy));
        assert!(status(&ask(&mut client, "GET /busy", fields)).contains("; hit"), "{fields}");
    }
    ask(&mut client, "GET /none", "Accept: a");
    let again = ask(&mut client, "GET /none", "Accept: b");
    assert!(again.status() == 404 && status(&again).contains("; hit"), "{}", status(&again));
}

/// Cache deception: the service answers with the account of whoever asks, whatever hangs on its path.
#[test]
fn the_page_of_one_is_not_kept_however_its_url_is_dressed_up() {
    let endpoint = service(|head, _| {
        let named =
            |name: &str| head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(str::to_owned));
        let who = named("cookie: ").or_else(|| named("authorization: ")).unwrap_or_else(|| "nobody".to_owned());
        // It says nothing, or even that it is fresh: as a rule for `*.css` would have it.
        ok(if head.contains("css") { "Cache-Control: max-age=60" } else { "" }, &who)
    });
    let door = door(&endpoint, json!({"ttl_s": {"200": 60}}));
    let mut client = door.client();
    for path in [
        "/account/x.css",
        "/account;x.css",
        "/account;/x.css",
        "/account%3Bx.css",
        "/account%2Fx.css",
        "/account%2F..%2Fx.css",
        "/account%3Fx.css",
        "/account%23x.css",
        "/account%0Ax.css",
        "/account%00x.css",
        "/account/%2e%2e/static/x.css",
        "/static/..%2Faccount?x.css",
        "/static/%2e%2e/account/x.css",
        "/static/%252e%252e/account/x.css",
        "/account/.css",
        "/account?x.css",
        "/account",
    ] {
        for victim in ["Cookie: session=victim", "Authorization: victim", "Cookie: a=b|Authorization: victim"] {
            let own = ask(&mut client, &format!("GET {path}"), victim);
            assert!(own.status() == 400 || text(&own) != "nobody", "{path}");
            let got = ask(&mut client, &format!("GET {path}"), "");
            assert!(got.status() == own.status() && !text(&got).contains("victim"), "{path}: {}", text(&got));
            // And what is kept for nobody is no answer to the one that has proved to be somebody: there it is asked for.
            ask(&mut door.client(), "DELETE /", "Content-Length: 0");
            door.server.purge(&stagedoor_dataplane::policy::cache::Purge::All, false).unwrap();
        }
    }
}

/// Key and service see one path: what the gateway takes for the same is one URL to the service, and what it does not is two.
#[test]
fn paths_are_one_in_the_key_where_they_are_one_to_the_service() {
    let endpoint = service(|head, _| ok("Cache-Control: max-age=60", head.split(' ').nth(1).unwrap()));
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let groups: &[&[&str]] = &[
        &["/a/b", "/a/./b", "/x/../a/b", "/a/%62", "/%61/b", "/a/x/%2e%2e/b", "/a/%2E/b", "/../a/b", "/a//../b"],
        &["/a%2Fb", "/a%2fb", "/%61%2fb"],
        &["/a//b"],
        &["/a/b/", "/a/b/.", "/a/b/x/.."],
        &["/A/b"],
        &["/a;x/b"],
        &["/a%3Bx/b", "/a%3bx/b"],
        &["/a/b;x=1"],
        &["/a/b?x=1"],
        &["/a/b%3Fx=1", "/a/b%3fx=1"],
        &["/a/b%23x"],
        &["/a/b%2523x"],
        &["/x%2F..%2Fa/b"],
        &["/a/%252e%252e/b"],
        &["/a/b?"],
        &["/a/b%20"],
        &["/a/b+"],
    ];
    let mut targets = std::collections::BTreeSet::new();
    for group in groups {
        let first = ask(&mut client, &format!("GET {}", group[0]), "");
        assert!(status(&first).contains("uri-miss"), "{}: {}", group[0], status(&first));
        assert!(targets.insert(text(&first)), "{} is another one's to the service", group[0]);
        for path in &group[1..] {
            let got = ask(&mut client, &format!("GET {path}"), "");
            assert!(status(&got).contains("; hit") && text(&got) == text(&first), "{path}: {}", status(&got));
        }
    }
    for path in ["/a\\b", "/a%5Cb", "/a%00", "/a%0d%0ab", "/a%zz"] {
        assert_eq!(ask(&mut door.client(), &format!("GET {path}"), "").status(), 400, "{path}");
    }
    assert_eq!(endpoint.requests(), groups.len());
}

/// Parameter cloaking: a parameter that the cache leaves out and the service reads.
#[test]
fn no_parameter_reaches_the_service_but_under_its_own_key() {
    for query in [json!({"names": ["page"]}), json!("sorted"), json!("all")] {
        let endpoint = service(|head, _| ok("Cache-Control: max-age=60", head.split(' ').nth(1).unwrap()));
        let door = door(&endpoint, json!({"query": query}));
        let mut client = door.client();
        for (index, attack) in [
            "utm=x;page=evil",
            "page=1;page=evil",
            "page=1&page=evil",
            "page=evil&page=1",
            "utm=1%26page=evil",
            "utm=1&%70age=evil",
            "page[]=evil",
            "page[0]=evil&page=1",
            "Page=evil&page=1",
            "page%00=evil",
            "+page=evil&page=1",
            "%20page=evil",
            "page%3Devil",
            "page=1%26page=evil",
            "_method=evil&page=1",
            "callback=evil&page=1",
            "&&page=1&utm=evil",
            "?page=evil&page=1",
        ]
        .into_iter()
        .enumerate()
        {
            let good = format!("/{index}?page=1");
            let attacked = ask(&mut client, &format!("GET /{index}?{attack}"), "");
            let seen = text(&attacked);
            let got = ask(&mut client, &format!("GET {good}"), "");
            assert_eq!((got.status(), text(&got)), (200, good.clone()), "{query} {attack}");
            // One entry for both only where the service was asked for the same.
            assert_eq!(status(&got).contains("; hit"), seen == good, "{query} {attack}: {seen}");
        }
    }
}

/// A GET with content is answered past the cache, however its content is framed.
#[test]
fn a_fat_get_makes_nobodys_answer() {
    let endpoint = service(|_, _| ok("Cache-Control: max-age=60", "page"));
    let door = door(&endpoint, json!({}));
    for (number, framed) in [
        "Content-Length: 6\r\n\r\npage=2",
        "Transfer-Encoding: chunked\r\n\r\n6\r\npage=2\r\n0\r\n\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\nX-HTTP-Method-Override: POST\r\nContent-Length: 6\r\n\r\npage=2",
    ]
    .into_iter()
    .enumerate()
    {
        for method in ["GET", "HEAD"] {
            let mut client = door.client();
            let head = format!("{method} /{number} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n");
            assert!(client.send(format!("{head}{framed}").as_bytes()));
            let (answered, _) = client.rest();
            let answered = String::from_utf8_lossy(&answered).into_owned();
            assert!(answered.contains("fwd=bypass") && !answered.contains("stored"), "{answered}");
        }
        let got = ask(&mut door.client(), &format!("GET /{number}"), "");
        assert!(status(&got).contains("uri-miss"), "{}", status(&got));
    }
}
