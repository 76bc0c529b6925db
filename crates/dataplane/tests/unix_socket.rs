//! Unix-domain sockets: listeners on them, their files, who their clients are, and endpoints behind them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::door;
use crate::wire::{self, Kind, Message, Taken};
use crate::witness::{Seen, Witness};
use serde_json::{json, Value};
use stagedoor_dataplane::server::Server;

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: shop\r\n\r\n";

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("stagedoor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn start(snapshot: &Value) -> Result<Server, String> {
    Server::start(&serde_json::from_value(snapshot.clone()).unwrap()).map_err(|error| error.to_string())
}

fn snapshot(endpoint: &Witness, path: &Path) -> Value {
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["listeners"]["public"]["bind"] = json!(format!("unix:{}", path.display()));
    snapshot
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(door::PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut UnixStream, request: &[u8]) -> Message {
    stream.write_all(request).unwrap();
    answer(stream)
}

fn answer(stream: &mut UnixStream) -> Message {
    let (mut unread, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Taken::Whole(message, _) = wire::take(&unread, Kind::Answer, false) {
            return *message;
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the end after {:?}", String::from_utf8_lossy(&unread));
        unread.extend_from_slice(&buffer[..count]);
    }
}

fn forwarded(endpoint: &Witness) -> String {
    let Seen::Whole(request) = endpoint.seen.recv_timeout(door::PATIENCE).unwrap() else { panic!("no request") };
    request.field("x-forwarded-for").unwrap_or_default()
}

#[test]
fn requests_come_in_through_a_socket_that_all_workers_share() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let path = folder.path("a.sock");
    let mut snapshot = snapshot(&endpoint, &path);
    snapshot["workers"] = json!(3);
    let server = start(&snapshot).unwrap();
    assert_eq!(server.places()["public"], format!("unix:{}", path.display()));
    let mut clients: Vec<_> = (0..12).map(|_| connect(&path)).collect();
    for client in clients.iter_mut().chain([&mut connect(&path)]) {
        for _ in 0..2 {
            assert_eq!(ask(client, REQUEST).status(), 200);
            assert_eq!(forwarded(&endpoint), "unknown");
        }
    }
}

#[test]
fn clients_of_a_socket_are_believed_only_where_the_word_unix_says_so() {
    let claim = b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    for (trusted, chain) in [(json!(["0.0.0.0/0", "::/0"]), "unknown"), (json!(["unix"]), "192.0.2.9, unknown")] {
        let (folder, endpoint) = (Folder::new(), Witness::start());
        let path = folder.path("a.sock");
        let mut snapshot = snapshot(&endpoint, &path);
        snapshot["listeners"]["public"]["trusted_proxies"] = trusted;
        let _server = start(&snapshot).unwrap();
        assert_eq!(ask(&mut connect(&path), claim).status(), 200);
        assert_eq!(forwarded(&endpoint), chain);
    }
}

#[test]
fn the_word_unix_is_for_sockets_alone() {
    let endpoint = Witness::start();
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["listeners"]["public"]["trusted_proxies"] = json!(["unix"]);
    snapshot["listeners"]["public"]["proxy_protocol"] = json!({"from": ["unix"]});
    let door = door::Door::open(snapshot);
    let claim = b"GET /a HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    assert_eq!(door.client().ask(claim).status(), 200);
    assert_eq!(forwarded(&endpoint), "127.0.0.1");
}

#[test]
fn a_balancer_behind_a_socket_can_name_its_clients() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let path = folder.path("a.sock");
    let mut snapshot = snapshot(&endpoint, &path);
    snapshot["listeners"]["public"]["proxy_protocol"] = json!({"from": ["unix"]});
    let _server = start(&snapshot).unwrap();
    for (header, client) in
        [("PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\n", "192.0.2.9"), ("PROXY UNKNOWN\r\n", "unknown")]
    {
        // In pieces, with a look in between: the kernel keeps them apart.
        let mut stream = connect(&path);
        for piece in [header.as_bytes(), REQUEST].concat().chunks(5) {
            stream.write_all(piece).unwrap();
            std::thread::yield_now();
        }
        assert_eq!(answer(&mut stream).status(), 200);
        assert_eq!(forwarded(&endpoint), client);
    }
}

#[test]
fn the_file_has_its_mode_and_is_gone_at_the_end() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let path = folder.path("a.sock");
    for (mode, expected) in [(Value::Null, 0o660), (json!(0o600), 0o600), (json!(0o666), 0o666)] {
        let mut snapshot = snapshot(&endpoint, &path);
        snapshot["listeners"]["public"]["mode"] = mode;
        let server = start(&snapshot).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, expected);
        server.stop();
        assert!(!path.exists());
    }
}

#[test]
fn a_file_that_nobody_listens_on_is_replaced_and_others_are_errors() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let stale = folder.path("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let server = start(&snapshot(&endpoint, &stale)).unwrap();
    assert_eq!(ask(&mut connect(&stale), REQUEST).status(), 200);

    let error = start(&snapshot(&endpoint, &stale)).err().unwrap();
    assert!(error.starts_with("listener 'public': cannot listen on unix:") && error.contains("in use"), "{error}");
    assert_eq!(ask(&mut connect(&stale), REQUEST).status(), 200);
    drop(server);

    let file = folder.path("file");
    fs::write(&file, "precious").unwrap();
    let error = start(&snapshot(&endpoint, &file)).err().unwrap();
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let error = start(&snapshot(&endpoint, &folder.path("no/folder.sock"))).err().unwrap();
    assert!(error.contains("cannot listen on"), "{error}");
}

#[test]
fn the_next_gateway_s_file_is_left_where_it_is() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let path = folder.path("a.sock");
    let old = start(&snapshot(&endpoint, &path)).unwrap();
    assert!(old.drain(door::PATIENCE));
    let new = start(&snapshot(&endpoint, &path)).unwrap();
    old.stop();
    assert_eq!(ask(&mut connect(&path), REQUEST).status(), 200);
    drop(new);
    assert!(!path.exists());
}

#[test]
fn a_new_configuration_opens_closes_and_changes_sockets() {
    let (folder, endpoint) = (Folder::new(), Witness::start());
    let (kept, left, new) = (folder.path("kept.sock"), folder.path("left.sock"), folder.path("new.sock"));
    let mut before = snapshot(&endpoint, &kept);
    let mut other = before["listeners"]["public"].clone();
    other["bind"] = json!(format!("unix:{}", left.display()));
    before["listeners"]["other"] = other;
    let server = start(&before).unwrap();
    let (mut on_kept, mut on_left) = (connect(&kept), connect(&left));

    let mut after = before.clone();
    after["listeners"]["other"]["bind"] = json!(format!("unix:{}", new.display()));
    after["listeners"]["public"]["mode"] = json!(0o600);
    server.apply(&serde_json::from_value(after).unwrap()).unwrap();
    for stream in [&mut on_kept, &mut on_left, &mut connect(&kept), &mut connect(&new)] {
        assert_eq!(ask(stream, REQUEST).status(), 200);
    }
    assert!(!left.exists());
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
}

/// An endpoint on a socket that answers everything, and tells the heads that it got.
fn endpoint(path: &Path) -> mpsc::Receiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (tell, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                let (mut unread, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    unread.extend_from_slice(&buffer[..count]);
                    if unread.ends_with(b"\r\n\r\n") {
                        let head = String::from_utf8_lossy(&std::mem::take(&mut unread)).to_ascii_lowercase();
                        let _over = tell.send(head);
                        let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    }
                }
            });
        }
    });
    heads
}

fn before_socket(path: &Path) -> Value {
    let mut snapshot = door::snapshot(([127, 0, 0, 1], 1).into());
    snapshot["clusters"]["shop"]["endpoints"] = json!([{"authority": format!("unix:{}", path.display()), "weight": 1}]);
    snapshot
}

#[test]
fn endpoints_behind_sockets_get_the_host_that_was_asked_for() {
    let folder = Folder::new();
    let path = folder.path("app.sock");
    let heads = endpoint(&path);
    let door = door::Door::open(before_socket(&path));
    let mut client = door.client();
    for _ in 0..2 {
        assert_eq!(client.ask(REQUEST).content, b"ok");
        assert!(heads.recv_timeout(door::PATIENCE).unwrap().contains("\r\nhost: shop\r\n"));
    }
    assert_eq!(door.client().ask(b"GET /a HTTP/1.0\r\n\r\n").status(), 200);
    assert!(heads.recv_timeout(door::PATIENCE).unwrap().contains("\r\nhost: localhost\r\n"));
}

#[test]
fn a_connection_to_a_socket_that_tells_its_client_names_no_address() {
    let folder = Folder::new();
    let path = folder.path("app.sock");
    let heads = endpoint(&path);
    let mut snapshot = before_socket(&path);
    snapshot["clusters"]["shop"]["proxy_protocol"] = json!("v1");
    let door = door::Door::open(snapshot);
    assert_eq!(door.client().ask(REQUEST).status(), 200);
    assert!(heads.recv_timeout(door::PATIENCE).unwrap().starts_with("proxy unknown\r\nget /a"));
}

#[test]
fn a_socket_that_nobody_listens_on_is_an_endpoint_that_cannot_be_reached() {
    let folder = Folder::new();
    let stale = folder.path("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    for path in [folder.path("missing.sock"), stale] {
        let door = door::Door::open(before_socket(&path));
        let answer = door.client().ask(REQUEST);
        assert_eq!(answer.status(), 502);
        assert!(!String::from_utf8_lossy(&answer.content).contains(".sock"), "the path is shown to the client");
    }
}
