//! What is not to be used any more.

use std::sync::Mutex;

use serde_json::json;
use stagedoor_dataplane::policy::cache::Purge;

use super::{answer, ask, configured, door, ok, policy, scripted, service, status, text};
use crate::door::{until, Door};
use crate::endpoint::Endpoint;

#[test]
fn writes_invalidate_what_they_name_and_only_of_their_own_origin() {
    let endpoint = service(|head, _| match head.split(' ').next().unwrap() {
        "GET" => ok("Cache-Control: max-age=60|Vary: X-A|Cache-Groups: \"g\"", "hello"),
        _ if head.contains(" /fail") => answer("500 Oops", "Location: /other", ""),
        _ if head.contains(" /group") => ok("Cache-Group-Invalidation: \"g\", \"h\"", ""),
        _ if head.contains(" /foreign") => ok("Location: http://elsewhere.example/other", ""),
        _ => ok("Location: other|Content-Location: http://SHOP.example:80/third?x=1", ""),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let mut is_hit =
        |path: &str, fields: &str| status(&ask(&mut client, &format!("GET {path}"), fields)).contains("; hit");
    let mut writer = door.client();
    let all = [("/page", ""), ("/page", "X-A: 1"), ("/other", ""), ("/third?x=1", "")];
    for (write, gone) in [("POST /fail", 0), ("POST /foreign", 0), ("M-SEARCH /page", 4), ("DELETE /group", 4)] {
        for (path, fields) in all {
            is_hit(path, fields);
            assert!(is_hit(path, fields), "{path}");
        }
        ask(&mut writer, write, "Content-Length: 0");
        let hits = all.iter().filter(|(path, fields)| is_hit(path, fields)).count();
        assert_eq!(hits, 4 - gone, "{write}");
    }
}

/// RFC 9875 §3: groups are of an origin.
#[test]
fn a_group_is_invalidated_for_its_own_origin_alone() {
    let endpoint = service(|head, _| match head.starts_with("GET") {
        true => ok("Cache-Control: max-age=60|Cache-Groups: \"g\", \"other\"", "hello"),
        false => ok("Cache-Group-Invalidation: \"g\"", ""),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let hosts = ["Host: one.example", "Host: two.example"];
    for host in hosts {
        ask(&mut client, "GET /a", host);
        assert!(status(&ask(&mut client, "GET /a", host)).contains("; hit"));
    }
    ask(&mut client, "POST /elsewhere", "Host: one.example|Content-Length: 0");
    let hits = hosts.map(|host| status(&ask(&mut client, "GET /a", host)).contains("; hit"));
    assert_eq!(hits, [false, true]);
    // What a safe method is answered with invalidates nothing.
    let safe = service(|_, _| ok("Cache-Control: max-age=60|Cache-Groups: \"g\"|Cache-Group-Invalidation: \"g\"", ""));
    let door = super::door(&safe, json!({}));
    let mut client = door.client();
    ask(&mut client, "GET /a", "");
    ask(&mut client, "GET /b", "");
    assert!(status(&ask(&mut client, "GET /a", "")).contains("; hit"));
}

#[test]
fn purges_reach_every_variant_by_url_prefix_and_group() {
    let endpoint = service(|_, _| ok("Cache-Control: max-age=60, stale-while-revalidate=60|Vary: X-A", "hello"));
    let door = door(&endpoint, json!({"groups": ["shop"], "query": {"names": ["a"]}}));
    let mut client = door.client();
    let asks = [("/x/1?a=1", ""), ("/x/1?a=1", "X-A: 1"), ("/x/2", ""), ("/y", "")];
    for (purge, count) in [
        (Purge::Url("http://shop.example/x/1?a=1&unknown=1"), 2),
        (Purge::Prefix("HTTP://shop.EXAMPLE:80/x/"), 3),
        (Purge::Prefix("http://shop.example/%78/1?a"), 2),
        (Purge::Group("shop"), 4),
        (Purge::Group("other"), 0),
        (Purge::All, 4),
    ] {
        for (path, fields) in asks {
            ask(&mut client, &format!("GET {path}"), fields);
        }
        assert_eq!(door.server.purge(&purge, false), Ok(count));
        assert_eq!(door.server.shared.cache.level().entries, 4 - count);
    }
    ask(&mut client, "GET /y", "");
    assert_eq!(door.server.purge(&Purge::Url("http://shop.example/y"), true), Ok(1));
    let soft = ask(&mut client, "GET /y", "");
    assert!(status(&soft).contains("stale-while-revalidate"), "{}", status(&soft));
    for wrong in ["shop.example/y", "ftp://a/b", "http:///x"] {
        assert!(door.server.purge(&Purge::Url(wrong), false).is_err());
    }
}

#[test]
fn a_route_declares_what_its_writes_invalidate() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let mut snapshot = configured(&endpoint, json!({"groups": ["items"]}), 1);
    let mut write = snapshot["routes"]["all"].clone();
    write["match"] = json!({"hosts": [], "path": "/write", "methods": ["POST"], "headers": {}, "query": {}});
    write["policies"]["cache"] = policy(json!({"invalidates": ["items"]}));
    snapshot["routes"]["write"] = write;
    let door = Door::open(snapshot);
    let mut client = door.client();
    ask(&mut client, "GET /items", "");
    assert!(status(&ask(&mut client, "GET /items", "")).contains("; hit"));
    ask(&mut client, "POST /write", "Content-Length: 0");
    assert!(!status(&ask(&mut client, "GET /items", "")).contains("; hit"));
}

#[test]
fn a_write_during_a_fetch_keeps_its_answer_out_of_the_store() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET") {
                gate.lock().unwrap().recv().unwrap();
            }
            connection.send(&ok("Cache-Control: max-age=60", "hello"));
        }
    });
    let door = door(&endpoint, json!({}));
    let mut reader = door.client();
    assert!(reader.send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
    until("it is asked for", || endpoint.requests() == 1);
    ask(&mut door.client(), "PUT /a", "Content-Length: 0");
    release.send(()).unwrap();
    assert_eq!(text(&reader.answer()), "hello");
    assert_eq!(door.server.shared.cache.level().entries, 0);
}
