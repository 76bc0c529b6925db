//! What is stored, by the rules of RFC 9111 §3 and §4.2.

use serde_json::json;

use super::{answer, ask, door, ok, scripted, service, status, text};
use crate::door::until;
use crate::endpoint::Endpoint;
use crate::wire::Message;

#[test]
fn a_fresh_response_is_fetched_once_and_says_how_old_it_is() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60|Age: 7|X-A: 1", "hello"), ok("", "never")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let first = ask(&mut client, "GET /a?b=1", "");
    assert_eq!(
        (text(&first).as_str(), status(&first).as_str()),
        ("hello", "stagedoor; fwd=uri-miss; fwd-status=200; ttl=53; stored")
    );
    let second = ask(&mut client, "GET /a?b=1", "");
    assert_eq!(text(&second), "hello");
    assert!(status(&second).starts_with("stagedoor; hit; ttl=5"), "{}", status(&second));
    assert!(["7", "8"].contains(&second.field("age").unwrap().as_str()));
    assert_eq!(second.field("x-a").as_deref(), Some("1"));
    let head = ask(&mut client, "HEAD /a?b=1", "");
    assert_eq!((head.field("content-length").as_deref(), text(&head).as_str()), (Some("5"), ""));
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn what_is_streamed_is_stored_while_it_goes_through() {
    let endpoint = Endpoint::start(|mut connection| {
        while connection.request().is_some() {
            connection.send(
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            );
            connection.send(b"6\r\n world\r\n0\r\n\r\n");
        }
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(text(&ask(&mut client, "GET /a", "")), "hello world");
    until("it is stored", || door.server.shared.cache.level().entries == 1);
    let again = ask(&mut client, "GET /a", "");
    assert_eq!((text(&again).as_str(), again.field("content-length").as_deref()), ("hello world", Some("11")));
    assert_eq!(endpoint.requests(), 1);
}

/// What a response or its request says, and whether the second request is answered from the store.
#[test]
fn responses_are_stored_and_used_by_the_rules_of_rfc_9111() {
    let date =
        |seconds: u64| httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(seconds));
    let (soon, past) = (date(3600), "Thu, 01 Jan 1970 00:00:01 GMT");
    let cases: &[(&str, &str, &str, &str, bool)] = &[
        // status, response, first request, second request, stored
        ("200 OK", "", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "", "", true),
        ("200 OK", "Cache-Control: max-age=0", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 61", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Age: x", "", "", false),
        ("200 OK", "Cache-Control: max-age=99999999999999999999", "", "", true),
        ("200 OK", "Cache-Control: max-age=0, s-maxage=60", "", "", true),
        ("200 OK", "Cache-Control: s-maxage=0, max-age=60", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-store", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-cache", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, private", "", "", false),
        ("200 OK", "Cache-Control: x=\"max-age=60, public\"", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-store, must-understand", "", "", true),
        ("299 Odd", "Cache-Control: max-age=60, no-store, must-understand", "", "", false),
        ("299 Odd", "Cache-Control: max-age=60, must-understand", "", "", false),
        ("299 Odd", "Cache-Control: max-age=60", "", "", true),
        ("404 Not Found", "Cache-Control: max-age=60", "", "", true),
        ("500 Oops", "Cache-Control: max-age=60", "", "", true),
        ("200 OK", "CDN-Cache-Control: max-age=60|Cache-Control: no-store", "", "", true),
        ("200 OK", "CDN-Cache-Control: no-store|Cache-Control: max-age=60", "", "", false),
        ("200 OK", "CDN-Cache-Control: max-age=0|Stagedoor-Cache-Control: max-age=60", "", "", true),
        ("200 OK", "Stagedoor-Cache-Control: no-store|CDN-Cache-Control: max-age=60", "", "", false),
        ("200 OK", "Stagedoor-Cache-Control: x=(|CDN-Cache-Control: max-age=60|Cache-Control: no-store", "", "", true),
        ("200 OK", "CDN-Cache-Control: must-revalidate|Expires: 0", "", "", false),
        ("200 OK", "CDN-Cache-Control: max-age=\"60|Cache-Control: max-age=60", "", "", true),
        ("200 OK", "CDN-Cache-Control: max-age=x|Cache-Control: max-age=60", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "Authorization: Basic x", "", false),
        ("200 OK", "Cache-Control: max-age=60, public", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: s-maxage=60", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: max-age=60, must-revalidate", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: max-age=60", "Cookie: a=b", "", false),
        ("200 OK", "Cache-Control: max-age=60, public", "Cookie: a=b", "", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: Cookie", "Cookie: a=b", "Cookie: a=b", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: Cookie", "Cookie: a=b", "Cookie: a=c", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cookie: a=b", true),
        ("200 OK", "Cache-Control: max-age=60|Set-Cookie: a=b", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, public|Set-Cookie: a=b", "", "", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: *", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1", "X-A: 1", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1", "X-A: 2", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "", "X-A: 2", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1,  2", "X-A: 1|X-A: 2", true),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Encoding",
            "Accept-Encoding: gzip, br;q=0.5",
            "Accept-Encoding: BR, x, gzip",
            true,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Encoding",
            "Accept-Encoding: gzip",
            "Accept-Encoding: gzip;q=0",
            false,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Language",
            "Accept-Language: DE,en",
            "Accept-Language: de, EN",
            true,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Language",
            "Accept-Language: de",
            "Accept-Language: en",
            false,
        ),
        ("200 OK", "Cache-Control: max-age=60|Content-Type: text/event-stream", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "Cache-Control: no-store", "", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cache-Control: no-store", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cache-Control: no-cache", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Pragma: no-cache", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: max-age=10", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: max-age=59", true),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: min-fresh=40", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: min-fresh=20", true),
        ("200 OK", "Cache-Control: max-age=60|Age: 90", "", "Cache-Control: max-stale=10", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 90|ETag: \"a\"", "", "Cache-Control: max-stale=40", true),
        ("200 OK", "Cache-Control: max-age=60|Age: 90|ETag: \"a\"", "", "Cache-Control: max-stale", true),
        (
            "200 OK",
            "Cache-Control: max-age=60, must-revalidate|Age: 90|ETag: \"a\"",
            "",
            "Cache-Control: max-stale",
            false,
        ),
        ("200 OK", "Cache-Control: max-age=60, immutable", "", "Cache-Control: max-age=0", true),
        ("200 OK", "Cache-Control: max-age=60, immutable|Age: 90", "", "Cache-Control: max-age=0", false),
        ("200 OK", "Cache-Control: max-age=60, immutable", "", "Cache-Control: no-cache", false),
        ("200 OK", "Cache-Control: max-age=60", "", "If-Match: \"a\"", false),
        ("200 OK", &format!("Expires: {soon}"), "", "", true),
        ("200 OK", &format!("Expires: {past}"), "", "", false),
        ("200 OK", "Expires: 0", "", "", false),
        ("200 OK", &format!("Expires: {soon}|Expires: {soon}"), "", "", false),
        ("200 OK", &format!("Date: {soon}|Expires: {soon}"), "", "", false),
        ("200 OK", &format!("Last-Modified: {past}"), "", "", false),
    ];
    let answers: Vec<Vec<u8>> = cases.iter().map(|case| answer(case.0, case.1, "hello")).collect();
    let endpoint = service(move |head, _| {
        let case: usize = head["GET /".len()..].split(' ').next().unwrap().parse().unwrap();
        answers[case].clone()
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let wrong: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(index, case)| {
            ask(&mut client, &format!("GET /{index}"), case.2);
            let second = ask(&mut client, &format!("GET /{index}"), case.3);
            let hit = status(&second).contains("; hit");
            (hit != case.4).then(|| format!("{case:?}: {}", status(&second)))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_route_says_what_responses_do_not_say() {
    let modified = "Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT";
    let endpoint = service(move |head, _| match head {
        head if head.starts_with("GET /old") => ok(modified, "old"),
        head if head.starts_with("GET /cookie") => ok("Set-Cookie: a=b|Cache-Control: max-age=60", "cookie"),
        head if head.starts_with("GET /missing") => answer("404 Not Found", "", "missing"),
        _ => ok("", "plain"),
    });
    let door =
        door(&endpoint, json!({"ttl_s": {"404": 60}, "heuristic": true, "set_cookies": true, "client_control": false}));
    let mut client = door.client();
    for (path, stored) in [("/old", true), ("/cookie", true), ("/missing", true), ("/plain", false)] {
        ask(&mut client, &format!("GET {path}"), "");
        let second = ask(&mut client, &format!("GET {path}"), "Cache-Control: no-cache");
        assert_eq!(status(&second).contains("; hit"), stored, "{path}: {}", status(&second));
    }
}

#[test]
fn only_if_cached_never_reaches_the_service() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let miss = ask(&mut client, "GET /", "Cache-Control: only-if-cached");
    assert_eq!(miss.status(), 504);
    assert!(text(&miss).contains("not-cached"));
    assert_eq!(endpoint.requests(), 0);
    ask(&mut client, "GET /", "");
    assert_eq!(ask(&mut client, "GET /", "Cache-Control: only-if-cached").status(), 200);
}

#[test]
fn interim_answers_and_fields_of_the_gateway_alone() {
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let endpoint = service(move |_, _| {
        [
            &early[..],
            &ok("Stagedoor-Cache-Control: max-age=60|CDN-Cache-Control: no-store|Cache-Control: private|Connection: x-hop|X-Hop: 1|TE: x", "hello"),
        ]
        .concat()
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for expected in [vec![103, 200], vec![200]] {
        let mut statuses = vec![ask(&mut client, "GET /", "")];
        while statuses.last().unwrap().status() < 200 {
            statuses.push(client.answer());
        }
        let last = statuses.last().unwrap();
        assert_eq!(statuses.iter().map(Message::status).collect::<Vec<_>>(), expected);
        assert_eq!((last.field("stagedoor-cache-control"), last.field("x-hop")), (None, None));
        assert_eq!(last.field("cache-control").as_deref(), Some("private"));
        assert_eq!(last.field("cdn-cache-control").as_deref(), Some("no-store"));
    }
}

#[test]
fn fields_that_are_for_one_client_are_not_stored() {
    let endpoint = scripted(vec![ok(
        "Cache-Control: max-age=60, private=\"x-mine\", no-cache=\"x-asked\"|X-Mine: 1|X-Asked: 1|X-All: 1",
        "hello",
    )]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let first = ask(&mut client, "GET /", "");
    assert_eq!(first.field("x-mine").as_deref(), Some("1"));
    let second = ask(&mut client, "GET /", "");
    assert_eq!(
        (second.field("x-mine"), second.field("x-asked"), second.field("x-all").as_deref()),
        (None, None, Some("1"))
    );
}
