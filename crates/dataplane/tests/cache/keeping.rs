//! The bounds of what is kept, and for how long.

use serde_json::json;

use super::{ask, configured, door, ok, scripted, service, status, text};
use crate::door::Door;

#[test]
fn content_that_is_too_long_goes_through_and_is_not_kept() {
    let long = "x".repeat(300_000);
    let content = long.clone();
    let endpoint = service(move |head, _| {
        match head.contains(" /told") {
        true => ok("Cache-Control: max-age=60", &content),
        false => format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{content}\r\n0\r\n\r\n", content.len()).into_bytes(),
    }
    });
    let door = door(&endpoint, json!({"object_bytes": 100_000}));
    let mut client = door.client();
    for path in ["/told", "/untold"] {
        for _ in 0..2 {
            let got = ask(&mut client, &format!("GET {path}"), "");
            assert_eq!(text(&got).len(), long.len());
        }
    }
    assert_eq!((endpoint.requests(), door.server.shared.cache.level().entries), (4, 0));
}

#[test]
fn the_store_keeps_its_bound_and_every_answer_is_right_under_pressure() {
    let endpoint = service(|head, _| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        ok("Cache-Control: max-age=60", &format!("{path}{}", "x".repeat(2000)))
    });
    let mut snapshot = configured(&endpoint, json!({}), 2);
    snapshot["cache"] = json!({"memory_bytes": 100_000});
    let door = Door::open(snapshot);
    std::thread::scope(|scope| {
        for seed in 0..4usize {
            let door = &door;
            scope.spawn(move || {
                let mut client = door.client();
                for step in 0..300usize {
                    let path = format!("/{}", (step * 7919 + seed * 104_729) % 97);
                    let got = ask(&mut client, &format!("GET {path}"), "");
                    assert!(text(&got).starts_with(&format!("{path}x")), "{path}");
                    assert!(door.server.shared.cache.level().bytes <= 110_000);
                }
            });
        }
    });
    let level = door.server.shared.cache.level();
    assert!(level.bytes <= 100_000 && level.evicted > 0 && level.entries > 10, "{level:?}");
}

#[test]
fn stored_responses_survive_a_new_program_unless_the_route_leads_elsewhere() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let mut snapshot = configured(&endpoint, json!({}), 1);
    let door = Door::open(snapshot.clone());
    let mut client = door.client();
    ask(&mut client, "GET /a", "");
    snapshot["routes"]["all"]["policies"]["request_id"] = json!({"header": "x-request-id", "accept": true});
    door.server.apply(&serde_json::from_value(snapshot.clone()).unwrap()).unwrap();
    assert!(status(&ask(&mut client, "GET /a", "")).contains("; hit"));
    snapshot["routes"]["all"]["target"]["cluster"]["path"] = json!("/other");
    door.server.apply(&serde_json::from_value(snapshot).unwrap()).unwrap();
    assert!(!status(&ask(&mut client, "GET /a", "")).contains("; hit"));
}
