//! WebSockets to endpoints that speak HTTP/2 (RFC 8441), whatever the client speaks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::door::{self, until, Client, Door};
use crate::endpoint::{self, on_worker};
use bytes::Bytes;
use h2::ext::Protocol;
use h2::Reason;
use http::{Request, Response, StatusCode};
use serde_json::json;

const ASK: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

type Heads = Arc<Mutex<Vec<http::request::Parts>>>;

/// A server of the `h2` crate: it echoes what comes on the stream of a WebSocket, answers `/refused` with 403, and every
/// other request with its method. `break off` makes it reset the stream.
fn service(allowed: bool) -> (SocketAddr, Heads) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Heads::default();
    let seen = heads.clone();
    std::thread::spawn(move || {
        on_worker(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = seen.clone();
                tokio::task::spawn_local(async move {
                    let mut builder = h2::server::Builder::new();
                    if allowed {
                        builder.enable_connect_protocol();
                    }
                    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (head, content) = request.into_parts();
                        seen.lock().unwrap().push(head.clone());
                        tokio::task::spawn_local(serve(head, content, respond));
                    }
                });
            }
        });
    });
    (address, heads)
}

async fn serve(head: http::request::Parts, mut content: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let is_websocket = head.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    if !is_websocket || head.uri.path() == "/refused" {
        let status = if is_websocket { 403 } else { 200 };
        let mut send = respond.send_response(Response::builder().status(status).body(()).unwrap(), false).unwrap();
        send.send_data(Bytes::from(head.method.to_string()), true).unwrap();
        return;
    }
    let answer = Response::builder().header("sec-websocket-protocol", "chat").body(()).unwrap();
    let mut send = respond.send_response(answer, false).unwrap();
    while let Some(Ok(data)) = content.data().await {
        content.flow_control().release_capacity(data.len()).unwrap();
        if data.ends_with(b"break off") {
            return send.send_reset(Reason::INTERNAL_ERROR);
        }
        send.send_data(data, false).unwrap();
    }
    let _closed = send.send_data(Bytes::new(), true);
}

fn door(service: SocketAddr) -> Door {
    let mut snapshot = door::snapshot(service);
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    snapshot["clusters"]["shop"]["protocol"] = json!("h2c");
    snapshot["routes"]["all"]["policies"]["upgrade"] =
        json!({"protocols": ["websocket", "chat/2"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10});
    Door::open(snapshot)
}

fn read_until(client: &mut Client, end: &[u8]) -> String {
    while !client.unread.windows(end.len()).any(|part| part == end) {
        client.read().unwrap();
    }
    let at = client.unread.windows(end.len()).position(|part| part == end).unwrap() + end.len();
    String::from_utf8(client.unread.drain(..at).collect()).unwrap()
}

fn tunnels(door: &Door) -> u64 {
    let metrics = door.server.metrics();
    let line = metrics.lines().find(|line| line.starts_with("stagedoor_tunnels{route=\"all\"}"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_client_of_http_1_gets_its_101_and_the_bytes_go_both_ways() {
    let (service, heads) = service(true);
    let door = door(service);
    let mut client = door.client();
    client.send(&[ASK, b"early"].concat());
    let answer = read_until(&mut client, b"\r\n\r\n").to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    let expected = ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="];
    for line in expected.into_iter().chain(["sec-websocket-protocol: chat"]) {
        assert_eq!(answer.matches(line).count(), 1, "{line} in {answer}");
    }
    assert_eq!(read_until(&mut client, b"early"), "early");
    let sent: Vec<u8> = (0..2 * 1024 * 1024u32).map(|number| (number % 251) as u8).collect();
    let mut sending = client.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            sending.write_all(&sent).unwrap();
            sending.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let (back, end) = client.rest();
        assert!(back == sent && end == door::End::Closed, "{} of {}", back.len(), sent.len());
    });
    let head = &heads.lock().unwrap()[0];
    assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("CONNECT", "http://shop.example/chat?room=1"));
    assert_eq!(head.headers["sec-websocket-version"], "13");
    for absent in ["sec-websocket-key", "upgrade", "connection", "content-length"] {
        assert!(!head.headers.contains_key(absent), "{absent}");
    }
}

#[test]
fn a_client_of_http_2_gets_its_200_beside_other_streams() {
    let (service, _) = service(true);
    let door = door(service);
    on_worker(async {
        let stream = tokio::net::TcpStream::connect(door.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(connection);
        let mut client = client.ready().await.unwrap();
        endpoint::until("extended CONNECT is allowed", || client.is_extended_connect_protocol_enabled()).await;
        let mut request = Request::builder().method("CONNECT").uri("http://shop.example/chat").body(()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let (response, mut sending) = client.send_request(request, false).unwrap();
        let mut response = response.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        sending.send_data(Bytes::from_static(b"hello"), false).unwrap();
        assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "hello");
        let plain = Request::get("http://shop.example/plain").body(()).unwrap();
        let mut other = client.send_request(plain, true).unwrap().0.await.unwrap();
        assert_eq!(other.body_mut().data().await.unwrap().unwrap(), "GET");
        sending.send_data(Bytes::from_static(b"break off"), false).unwrap();
        let error = response.body_mut().data().await.unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL));
    });
    until("the tunnel is over", || tunnels(&door) == 0);
}

#[test]
fn what_the_service_does_not_take_is_told() {
    let (takes, _) = service(true);
    let door = door(takes);
    let refused = String::from_utf8_lossy(ASK).replace("/chat", "/refused");
    let mut client = door.client();
    for _ in 0..2 {
        let answer = client.ask(refused.as_bytes());
        assert_eq!((answer.status(), answer.content.as_slice()), (403, &b"CONNECT"[..]));
    }
    let keyless = String::from_utf8_lossy(ASK).replace("Sec-WebSocket-Key", "X-Key");
    assert_eq!(door.client().ask(keyless.as_bytes()).status(), 400);
    // Another protocol than WebSocket has no form in HTTP/2: the request is a plain one.
    let other = String::from_utf8_lossy(ASK).replace("websocket\r\n", "chat/2\r\n");
    assert_eq!(door.client().ask(other.as_bytes()).content, b"GET");
    let (takes_not, heads) = service(false);
    let door = self::door(takes_not);
    let answer = door.client().ask(ASK);
    assert_eq!(answer.status(), 502);
    assert!(String::from_utf8_lossy(&answer.content).contains("does not take WebSockets over HTTP/2"));
    assert_eq!((heads.lock().unwrap().len(), tunnels(&door)), (0, 0));
}

#[test]
fn a_side_that_breaks_off_takes_the_other_one_along() {
    let (service, _) = service(true);
    let door = door(service);
    let open = || {
        let mut client = door.client();
        client.send(ASK);
        read_until(&mut client, b"\r\n\r\n");
        client
    };
    let mut client = open();
    client.send(b"break off");
    assert_eq!(client.rest(), (Vec::new(), door::End::Reset));
    let client = open();
    assert_eq!(tunnels(&door), 1);
    socket2::SockRef::from(&client.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    until("the tunnel is over", || tunnels(&door) == 0);
    let mut client = open();
    assert!(door.server.drain(door::PATIENCE));
    assert_eq!(client.rest(), (b"\x88\x02\x03\xe9".to_vec(), door::End::Closed));
}
