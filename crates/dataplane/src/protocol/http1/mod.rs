//! HTTP/1.1 downstream: one connection from its accept to its end. `wire` reads heads and writes bytes, `request_body`
//! decodes what follows a head, `response` says how an answer is framed, `writer` sends it.

mod presence;
pub mod request_body;
mod response;
mod timeouts;
mod tunnel;
mod wire;
mod writer;

use std::future::{poll_fn, Future};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{request, HeaderMap, Request, Response, StatusCode, Version};
use tokio::task::coop;

use super::body::Body;
use super::connection::Connection;
use super::link::Link;
use super::unwinding::Unwinding;
use crate::error::Error;
use crate::head::{Facts, Framing};
use crate::proxy;
use crate::telemetry::recording::Recorded;
use crate::transport::Stream;
use crate::worker::Worker;
use presence::Presence;
use request_body::{Incoming, RequestBody, Rest};
use response::Asked;
use wire::{Next, Wire};
use writer::Writer;

/// What becomes of a connection after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Again,
    /// In order: the client has all of its answer.
    Close,
    /// At once: whoever is at the other end must not take what it has for a whole answer.
    Break,
}

/// Serves a connection until its client or the worker ends it.
pub async fn serve(worker: Rc<Worker>, connection: Rc<Connection>, stream: Stream) {
    let wire = Wire::new(stream, Link::new(connection));
    loop {
        // In a box, and what came is not kept beside it, so that an idle connection is small.
        let exchanging = match poll_fn(|context| wire.poll_next(context)).await {
            Next::End => return,
            Next::Request(head, facts) => Box::pin(exchange(&worker, &wire, head, facts, None)),
            Next::Refused(head, error) => {
                let facts = Facts {
                    framing: Framing::None,
                    persistent: false,
                    expects_continue: false,
                    accepts_trailers: false,
                };
                Box::pin(exchange(&worker, &wire, head, facts, Some(error)))
            }
        };
        let after = exchanging.await;
        match after {
            After::Again => wire.settle(),
            After::Close if wire.has_ended() => return,
            After::Close => return Box::pin(wire.close()).await,
            After::Break => return,
        }
    }
}

/// One request and its answer. `refusal`: the head was not clean, and `head` is what there is of it.
async fn exchange(
    worker: &Rc<Worker>,
    wire: &Rc<Wire>,
    head: request::Parts,
    facts: Facts,
    refusal: Option<Error>,
) -> After {
    let link = &wire.link;
    link.begin();
    let asked = Asked {
        method: head.method.clone(),
        version: head.version,
        persistent: facts.persistent,
        accepts_trailers: facts.accepts_trailers,
    };
    let incoming = Incoming::begin(wire, &facts);
    let body = incoming.clone().map_or_else(Body::empty, |incoming| Body::request(RequestBody::new(incoming)));
    let mut presence = Presence::new(Duration::from_millis(link.connection.listener.limits.half_close_ms));
    let response = {
        let request = Request::from_parts(head, body);
        let handling = Unwinding { future: proxy::handle(worker.clone(), link.clone(), request, refusal) };
        let mut handling = pin!(handling);
        poll_fn(|context| {
            let response = handling.as_mut().poll(context);
            // What came along with the final answer leaves before it.
            pass_interim(wire, &asked);
            if let Poll::Ready(response) = response {
                return Poll::Ready(Some(response));
            }
            link.connection.watch(context);
            if wire.has_outgoing() {
                // A failure shows when the answer is written.
                let _pending = wire.poll_write(&mut Bytes::new(), context);
            }
            presence.poll_gone(&wire.stream.borrow(), context).map(|()| None)
        })
        .await
    };
    let Some(response) = response else { return After::Break };
    let response = response.unwrap_or_else(|_panic| proxy::panicked(link.clone()));
    link.drop_interim();
    answer(wire, response, &asked, incoming, presence).await
}

/// Writes what endpoints have said so far. HTTP/1.0 clients do not know interim responses.
fn pass_interim(wire: &Wire, asked: &Asked) {
    while let Some((status, headers)) = wire.link.next_interim() {
        if asked.version >= Version::HTTP_11 {
            wire.write(|out| response::encode_interim(out, status, &headers));
        }
    }
    if wire.link.take_continue() {
        wire.write(|out| response::encode_interim(out, StatusCode::CONTINUE, &HeaderMap::new()));
    }
}

async fn answer(
    wire: &Rc<Wire>,
    mut response: Response<Recorded>,
    asked: &Asked,
    incoming: Option<Rc<Incoming>>,
    mut presence: Presence,
) -> After {
    if let Some(tunnel) = response.body_mut().take_tunnel() {
        return Box::pin(tunnel::run(wire, response, tunnel)).await;
    }
    let rest = || incoming.as_ref().map_or(Rest::Nothing, |incoming| incoming.rest());
    let connection = &wire.link.connection;
    let persistent = asked.persistent && rest() != Rest::Unreadable && !connection.is_draining();
    let mut writer = Writer::begin(wire, response, asked, persistent);
    let written = poll_fn(|context| {
        if let Poll::Ready(written) = writer.poll(wire, context) {
            return Poll::Ready(written.is_ok());
        }
        connection.watch(context);
        // Without budget a write only waits for its turn.
        if writer.is_stuck() && wire.link.is_overdue() && coop::has_budget_remaining() {
            return Poll::Ready(false);
        }
        presence.poll_gone(&wire.stream.borrow(), context).map(|()| false)
    })
    .await;
    let after = if written { writer.after() } else { After::Break };
    if after == After::Break && writer.ends_by_closing() {
        wire.stream.borrow().reset();
    }
    drop(writer);
    match &incoming {
        Some(incoming) if after == After::Again => match poll_fn(|context| incoming.poll_drain(context)).await {
            true => After::Again,
            false => After::Close,
        },
        _ => after,
    }
}
