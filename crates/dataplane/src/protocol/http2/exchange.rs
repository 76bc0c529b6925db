//! One stream from its head to its end: a request like any other, and its answer as fast as the client's window allows.

use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TRANSFER_ENCODING};
use http::{request, response, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;

use super::request_body::RequestBody;
use super::{head, tunnel, Running};
use crate::error::Error;
use crate::protocol::body::Body;
use crate::protocol::connection::Connection;
use crate::protocol::date;
use crate::protocol::link::Link;
use crate::protocol::unwinding::Unwinding;
use crate::proxy;
use crate::telemetry::recording::Recorded;
use crate::worker::Worker;

pub(super) async fn run(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    _running: Running,
) {
    let link = Link::new(connection);
    link.begin();
    let (mut head, stream) = request.into_parts();
    let refusal = head::settle(&mut head, &link.connection.listener.bounds).err();
    let method = head.method.clone();
    // What an extended CONNECT sends is for after its answer.
    let (body, inbound) = match head.extensions.get::<h2::ext::Protocol>() {
        Some(_) => (Body::empty(), Some(stream)),
        None => (body(&head, stream, &link), None),
    };
    let request = Request::from_parts(head, body);
    let Some(mut response) = Box::pin(answer(worker, &link, request, refusal, &mut respond)).await else {
        return;
    };
    if let Some((inbound, tunnel)) = inbound.and_then(|inbound| Some((inbound, response.body_mut().take_tunnel()?))) {
        return Box::pin(tunnel::run(&link, response, tunnel, inbound, respond)).await;
    }
    send(&link, &method, response, respond).await;
}

fn body(head: &request::Parts, stream: RecvStream, link: &Rc<Link>) -> Body {
    if stream.is_end_stream() {
        return Body::empty();
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let expects = head.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    Body::stream(RequestBody::new(stream, link.clone(), length, expects))
}

/// None when the client has reset the stream.
async fn answer(
    worker: Rc<Worker>,
    link: &Rc<Link>,
    request: Request<Body>,
    refusal: Option<Error>,
    respond: &mut SendResponse<Bytes>,
) -> Option<Response<Recorded>> {
    let handling = Unwinding { future: proxy::handle(worker, link.clone(), request, refusal) };
    let mut handling = pin!(handling);
    let outcome = poll_fn(|context| {
        let outcome = handling.as_mut().poll(context);
        pass_interim(link, respond);
        match outcome {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => respond.poll_reset(context).map(|_| None),
        }
    })
    .await?;
    Some(outcome.unwrap_or_else(|_panic| proxy::panicked(link.clone())))
}

fn pass_interim(link: &Link, respond: &mut SendResponse<Bytes>) {
    while let Some((status, mut headers)) = link.next_interim() {
        headers.remove(CONTENT_LENGTH);
        interim(respond, status, headers);
    }
    if link.take_continue() {
        interim(respond, StatusCode::CONTINUE, HeaderMap::new());
    }
}

fn interim(respond: &mut SendResponse<Bytes>, status: StatusCode, headers: HeaderMap) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    // Interim responses are optional; that the stream is gone shows when the answer is sent.
    let _unsent = respond.send_informational(response);
}

async fn send(link: &Link, method: &Method, response: Response<Recorded>, mut respond: SendResponse<Bytes>) {
    let (mut head, body) = response.into_parts();
    let bodiless = *method == Method::HEAD || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    settle(&mut head, (!bodiless).then(|| body.size_hint().exact()).flatten());
    let ends = bodiless || body.is_end_stream();
    let Ok(stream) = respond.send_response(Response::from_parts(head, ()), ends) else {
        return;
    };
    if ends {
        return;
    }
    let mut sending = Sending { body, stream, data: Bytes::new() };
    poll_fn(|context| match sending.poll(context) {
        // A stuck client must not hold an endpoint's connection for as long as it likes.
        Poll::Pending if !sending.data.is_empty() && link.is_overdue() => {
            sending.stream.send_reset(Reason::CANCEL);
            Poll::Ready(())
        }
        polled => polled,
    })
    .await;
}

/// Fields of a connection have no place in HTTP/2 (RFC 9113 §8.2.2).
pub(super) fn settle(head: &mut response::Parts, length: Option<u64>) {
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    head.version = Version::HTTP_2;
    if let Some(length) = length {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    } else if head.status == StatusCode::NO_CONTENT {
        head.headers.remove(CONTENT_LENGTH);
    }
    if !head.headers.contains_key(DATE) {
        date::with_now(|now| head.headers.insert(DATE, now.clone()));
    }
}

/// A response's body on its way.
struct Sending {
    body: Recorded,
    stream: SendStream<Bytes>,
    /// Taken from the body and not yet sent.
    data: Bytes,
}

impl Sending {
    /// Ready when the stream is over, in whichever way.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.data.is_empty() {
                match self.poll_data(context) {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if self.body.is_end_stream() {
                let _gone = self.stream.send_data(Bytes::new(), true);
                return Poll::Ready(());
            }
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending => return self.stream.poll_reset(context).map(drop),
            };
            match frame {
                None => {
                    let _gone = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(());
                }
                Some(Err(_)) => {
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.data = data,
                    Err(frame) => {
                        let _gone = self.stream.send_trailers(frame.into_trailers().unwrap_or_default());
                        return Poll::Ready(());
                    }
                },
            }
        }
    }

    /// Sends as much as the client's window takes; false when the stream is over.
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        self.stream.reserve_capacity(self.data.len());
        if self.stream.capacity() == 0 {
            match self.stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = self.data.split_to(self.stream.capacity().min(self.data.len()));
        if piece.is_empty() {
            return Poll::Ready(true);
        }
        let last = self.data.is_empty() && self.body.is_end_stream();
        let sent = self.stream.send_data(piece, last).is_ok();
        Poll::Ready(sent && !last)
    }
}
