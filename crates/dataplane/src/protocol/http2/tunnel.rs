//! A stream that becomes a WebSocket (RFC 8441): 200 for the endpoint's 101, and then DATA frames for its bytes.

use bytes::Bytes;
use h2::server::SendResponse;
use h2::RecvStream;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{Response, StatusCode};

use super::exchange;
use crate::cluster::Tunnel;
use crate::protocol::duplex::Duplex;
use crate::protocol::link::Link;
use crate::protocol::tunnel;
use crate::telemetry::recording::Recorded;

/// Answers and passes bytes on until the tunnel's end.
pub(super) async fn run(
    link: &Link,
    answer: Response<Recorded>,
    mut tunnel: Box<Tunnel>,
    inbound: RecvStream,
    mut respond: SendResponse<Bytes>,
) {
    let (mut head, mut recorded) = answer.into_parts();
    // It was for the handshake.
    link.deadline.set(None);
    head.status = StatusCode::OK;
    for name in [UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    exchange::settle(&mut head, None);
    let Ok(outbound) = respond.send_response(Response::from_parts(head, ()), false) else {
        return recorded.ended(tunnel::End::ClientGone);
    };
    let mut client = Duplex { inbound, outbound };
    let note = |up, down| {
        link.received.set(up);
        recorded.carried(down);
    };
    let end = tunnel::relay(&mut client, &mut tunnel, &link.connection, note).await;
    recorded.ended(tunnel.end().unwrap_or(end));
    if end.is_broken() {
        client.reset();
        return tunnel.reset();
    }
    // Refused where that has been said already.
    let _ended = client.outbound.send_data(Bytes::new(), true);
}
