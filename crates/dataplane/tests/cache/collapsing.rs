//! One fetch for all who ask at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::json;

use super::{answer, ask, configured, door, ok, scripted, service, status, text};
use crate::door::{until, Client, Door};
use crate::endpoint::Endpoint;

#[test]
fn a_thousand_clients_are_one_fetch() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n01234");
            gate.lock().unwrap().recv().unwrap();
            connection.send(b"56789");
        }
    });
    let door = Door::open(configured(&endpoint, json!({}), 2));
    let mut clients: Vec<Client> = (0..1000).map(|_| door.client()).collect();
    for client in &mut clients {
        assert!(client.send(b"GET /page HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
    }
    // Each has the first half before there is a second.
    for client in &mut clients {
        while !client.unread.ends_with(b"01234") {
            client.read().unwrap();
        }
    }
    release.send(()).unwrap();
    let collapsed = clients.iter_mut().map(Client::answer).filter(|answer| {
        assert_eq!(answer.content, b"0123456789");
        status(answer).contains("collapsed")
    });
    assert_eq!(collapsed.count(), 999);
    assert_eq!(endpoint.requests(), 1);
    assert!(door.server.metrics().contains("stagedoor_cache_requests_total{route=\"all\",result=\"collapsed\"} 999"));
}

#[test]
fn an_answer_for_one_alone_releases_all_at_once() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let seen = arrived.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            // The first answers only when its clients all wait; of the others each waits for all others.
            if number > 0 {
                until("all have been let go", || seen.load(Ordering::SeqCst) == 8);
            }
            connection.send(&ok("Cache-Control: no-store", "mine"));
        }
    });
    let door = Door::open(configured(&endpoint, json!({}), 1));
    let mut clients: Vec<Client> = (0..8).map(|_| door.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    for client in &mut clients {
        assert_eq!(text(&client.answer()), "mine");
    }
    assert_eq!(arrived.load(Ordering::SeqCst), 8);
}

#[test]
fn a_leader_that_goes_passes_on_the_lead() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            if connection.index == 0 {
                while connection.read() {}
                return;
            }
            gate.lock().unwrap().recv().unwrap();
            connection.send(&ok("Cache-Control: max-age=60", "hello"));
        }
    });
    let mut snapshot = configured(&endpoint, json!({}), 1);
    snapshot["listeners"]["public"]["limits"]["half_close_ms"] = json!(1);
    let door = Door::open(snapshot);
    let mut leader = door.client();
    leader.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until("it leads", || endpoint.requests() == 1);
    let mut followers: Vec<Client> = (0..5).map(|_| door.client()).collect();
    followers.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    drop(leader);
    until("another one leads", || endpoint.requests() == 2);
    release.send(()).unwrap();
    for client in &mut followers {
        assert_eq!(text(&client.answer()), "hello");
    }
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn followers_share_the_failure_of_the_service() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
    });
    let door = Door::open(configured(&endpoint, json!({}), 1));
    let mut clients: Vec<Client> = (0..5).map(|_| door.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    for client in &mut clients {
        assert_eq!(client.answer().status(), 502);
    }
}

#[test]
fn a_client_cannot_keep_others_from_sharing_a_response() {
    let endpoint = service(|head, _| match head.to_ascii_lowercase().contains("\r\ncookie: ") {
        true => ok("Cache-Control: no-store", "mine"),
        false => ok("Cache-Control: max-age=60", "ours"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(text(&ask(&mut client, "GET /", "Cookie: a=b")), "mine");
    assert!(status(&ask(&mut client, "GET /", "")).contains("; stored"));
    assert!(status(&ask(&mut client, "GET /", "Cookie: a=b")).contains("; hit"));
}

#[test]
fn a_key_whose_answers_were_for_one_alone_is_shared_again() {
    let endpoint = scripted(vec![answer("500 Oops", "", "oops"), ok("Cache-Control: max-age=60", "hello")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(ask(&mut client, "GET /", "").status(), 500);
    assert!(status(&ask(&mut client, "GET /", "")).contains("; stored"));
    assert!(status(&ask(&mut client, "GET /", "")).contains("; hit"));
}
