//! Fields that say who calls are the gateway's own: a client's never reach a service, however they are written.

use crate::door::{snapshot, until, Door};
use crate::endpoint::{Endpoint, OK};
use crate::frames::{field, END_HEADERS, END_STREAM, HEADERS, SETTINGS};
use serde_json::json;
use sha2::{Digest, Sha256};

/// `/guarded` wants the key `key-of-web`; every other path is open to anyone.
fn door(endpoint: &Endpoint) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    let digest: String = Sha256::digest("key-of-web").iter().map(|byte| format!("{byte:02x}")).collect();
    snapshot["consumers"]["web"] =
        json!({"api_key_sha256": [{"sha256": digest, "id": "k1"}], "groups": ["staff"], "scopes": ["read"]});
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 10});
    Door::open(snapshot)
}

/// The lines of who calls that the service got since.
fn told(endpoint: &Endpoint, before: usize) -> Vec<String> {
    let seen = endpoint.text()[before..].to_lowercase().replace('_', "-");
    let lines = seen.lines().filter(|line| line.starts_with("x-consumer") || line.starts_with("x-stagedoor"));
    lines.map(str::to_owned).collect()
}

const OURS: [&str; 4] =
    ["x-consumer-id: web", "x-consumer-groups: staff", "x-consumer-scopes: read", "x-consumer-credential: k1"];

const CLAIMS: [&[&str]; 9] = [
    &["X-Consumer-ID: root"],
    &["x-consumer-id: root", "X-CONSUMER-ID: admin"],
    &["X_Consumer_Id: root", "x-consumer_groups: admins", "x_consumer-scopes: all"],
    &["X-Consumer-Plan: gold", "X-Consumer-Credential: k2", "X-Consumer-Username: root", "x-consumer-: root"],
    &["X-Stagedoor-Consumer: root", "x_stagedoor_consumer: root"],
    &["Connection: x-consumer-id, x-consumer-groups, x-consumer-credential", "X-Consumer-ID: root"],
    &["Connection: close, X-Consumer-Scopes"],
    &["X-Consumer-ID: ", "X-Consumer-ID:"],
    &["TE: trailers", "Trailer: X-Consumer-ID"],
];

#[test]
fn what_a_client_says_of_itself_is_gone_whether_or_not_it_must_prove_it() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    for claims in CLAIMS {
        let fields = claims.join("\r\n");
        let before = endpoint.text().len();
        let open = door.client().ask(format!("GET /open HTTP/1.1\r\nhost: h\r\n{fields}\r\n\r\n").as_bytes());
        assert_eq!(open.status(), 200, "{claims:?}");
        assert_eq!(told(&endpoint, before), Vec::<String>::new(), "{claims:?}");
        let before = endpoint.text().len();
        let key = "x-api-key: key-of-web";
        let guarded = format!("GET /guarded HTTP/1.1\r\nhost: h\r\n{key}\r\n{fields}\r\n\r\n");
        assert_eq!(door.client().ask(guarded.as_bytes()).status(), 200, "{claims:?}");
        assert_eq!(told(&endpoint, before), OURS, "{claims:?}");
    }
}

#[test]
fn what_comes_after_the_content_says_nothing_of_the_client_either() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    for (path, expected) in [("open", &[][..]), ("guarded", &OURS[..])] {
        let before = endpoint.text().len();
        let request = format!(
            "POST /{path} HTTP/1.1\r\nhost: h\r\nx-api-key: key-of-web\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\nX-Consumer-ID: root\r\nx_consumer_groups: admins\r\nX-Sum: 1\r\n\r\n"
        );
        assert_eq!(door.client().ask(request.as_bytes()).status(), 200);
        until("the whole request has come", || endpoint.text()[before..].to_lowercase().contains("x-sum: 1"));
        assert_eq!(told(&endpoint, before), expected, "{path}");
    }
}

#[test]
fn nor_does_a_client_of_http_2() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let mut client = door.client();
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        frame
    };
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(&frame(SETTINGS, 0, 0, &[]));
    for (stream, path, expected) in [(1, "/open", &[][..]), (3, "/guarded", &OURS[..])] {
        let before = endpoint.text().len();
        let fields = [
            (":scheme", "http"),
            (":method", "GET"),
            (":path", path),
            (":authority", "h"),
            ("x-api-key", "key-of-web"),
            ("x-consumer-id", "root"),
            ("x-consumer-id", "admin"),
            ("x_consumer_groups", "admins"),
            ("x-stagedoor-consumer", "root"),
        ];
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
        client.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        until("the request has come", || endpoint.text()[before..].contains("\r\n\r\n"));
        assert_eq!(told(&endpoint, before), expected, "{path}");
    }
}
