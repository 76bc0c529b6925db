//! WebSocket over HTTP/2 (RFC 8441): an extended CONNECT on one side, an upgrade in HTTP/1.1 on the other.

use std::io::{Read, Write};

use crate::door::{self, Door};
use crate::endpoint::{on_worker, until, Connection, Endpoint};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response, StatusCode};
use serde_json::json;
use sha1::{Digest, Sha1};

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

/// Answers the key that it was sent, if `right`.
fn accepting(right: bool, after: impl Fn(Connection) + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |mut connection| {
        let Some(head) = connection.head() else { return };
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap_or_default();
        let proof = format!("{key}{}", if right { "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" } else { "" });
        let accept = base64(&Sha1::digest(proof.as_bytes()));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
        if connection.send(answer.as_bytes()) {
            after(connection);
        }
    })
}

fn echo(mut connection: Connection) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = connection.stream.read(&mut buffer) {
        if connection.stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn door(endpoint: &Endpoint, allowed: bool) -> Door {
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    if allowed {
        snapshot["routes"]["all"]["policies"]["upgrade"] =
            json!({"protocols": ["websocket"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10});
    }
    Door::open(snapshot)
}

/// A client that has been told that it may use extended CONNECT.
async fn client(door: &Door) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(door.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(connection);
    let client = client.ready().await.unwrap();
    until("extended CONNECT is allowed", || client.is_extended_connect_protocol_enabled()).await;
    client
}

fn connect(client: &mut SendRequest<Bytes>, protocol: &'static str) -> (ResponseFuture, SendStream<Bytes>) {
    let mut request = Request::builder()
        .method("CONNECT")
        .uri("http://shop.example/chat?room=1")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    client.send_request(request, false).unwrap()
}

async fn open(client: &mut SendRequest<Bytes>) -> (Response<RecvStream>, SendStream<Bytes>) {
    let (response, stream) = connect(client, "websocket");
    (response.await.unwrap(), stream)
}

async fn read(stream: &mut RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

#[test]
fn a_stream_becomes_a_websocket_beside_other_streams() {
    let endpoint = accepting(true, echo);
    let door = door(&endpoint, true);
    on_worker(async {
        let mut client = client(&door).await;
        let (mut response, mut sending) = open(&mut client).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        for absent in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert!(!response.headers().contains_key(absent), "{absent}");
        }
        let fixed = Request::builder().uri("http://shop.example/fixed").body(()).unwrap();
        let mut other = client.send_request(fixed, true).unwrap().0.await.unwrap();
        assert_eq!(read(other.body_mut()).await, b"fixed");
        let sent: Vec<u8> = (0..2 * 1024 * 1024u32).map(|number| (number % 251) as u8).collect();
        sending.send_data(Bytes::from(sent.clone()), true).unwrap();
        assert!(read(response.body_mut()).await == sent);
    });
    let asked = endpoint.text();
    let head = asked.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /chat?room=1 http/1.1\r\n"), "{head}");
    for line in ["\r\nhost: shop.example", "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"] {
        assert_eq!(head.matches(line).count(), 1, "{line} in {head}");
    }
}

#[test]
fn an_endpoint_that_does_not_prove_that_it_speaks_websocket_is_502() {
    let endpoint = accepting(false, Connection::wait_closed);
    let door = door(&endpoint, true);
    on_worker(async {
        let (response, _sending) = open(&mut client(&door).await).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    });
}

#[test]
fn where_no_policy_allows_it_or_for_other_protocols_it_is_501() {
    let endpoint = accepting(true, Connection::wait_closed);
    for (allowed, protocol) in [(false, "websocket"), (true, "connect-udp")] {
        let door = door(&endpoint, allowed);
        on_worker(async {
            let mut client = client(&door).await;
            let (response, _sending) = connect(&mut client, protocol);
            assert_eq!(response.await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
        });
    }
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_stream_that_is_reset_takes_the_endpoints_connection_along_and_the_other_way_round() {
    let (ended, end) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let endpoint = accepting(true, move |mut connection| {
        while connection.read() {
            if connection.received_text().ends_with("break off") {
                return connection.reset();
            }
        }
        ended.lock().unwrap().send(()).unwrap();
    });
    let door = door(&endpoint, true);
    on_worker(async {
        let mut client = client(&door).await;
        let (_response, mut sending) = open(&mut client).await;
        sending.send_reset(Reason::CANCEL);
        until("the endpoint's connection is closed", || end.try_recv().is_ok()).await;
        let (mut response, mut sending) = open(&mut client).await;
        sending.send_data(Bytes::from_static(b"break off"), false).unwrap();
        let error = loop {
            match response.body_mut().data().await {
                Some(Err(error)) => break error,
                other => assert!(other.is_some(), "an orderly end"),
            }
        };
        assert_eq!(error.reason(), Some(Reason::CANCEL));
    });
}
