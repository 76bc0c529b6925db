//! The messages of a method that takes several: values of JSON, or pieces of content of any kind.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::super::http_rule::binding::{Binding, Content};
use super::super::values::{Fault, Values};
use super::{request, Rules};
use crate::error::{Error, Kind};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::protocol::media;

/// `parameters` are in the first message.
pub(super) fn stream(
    binding: &Arc<Binding>,
    head: &RequestHead,
    body: Body,
    parameters: Vec<u8>,
    rules: &Arc<Rules>,
) -> Result<Body, Error> {
    let raw = match binding.body {
        Content::Nothing => {
            return request::put(binding, head, b"", &parameters, rules).map(Body::full);
        }
        Content::Raw(_) => true,
        Content::Message | Content::Field(_) => {
            request::refuse_other(head)?;
            false
        }
    };
    let kind = media::essence(&head.headers).unwrap_or_default().to_ascii_lowercase();
    // The content type, which every piece may need; the rest of the head is on its way to the service.
    let mut own = http::Request::new(()).into_parts().0;
    own.headers
        .extend(head.headers.get(http::header::CONTENT_TYPE).map(|kind| (http::header::CONTENT_TYPE, kind.clone())));
    Ok(Body::stream(Upload {
        body,
        head: own,
        binding: binding.clone(),
        rules: rules.clone(),
        parameters: Some(parameters),
        values: (!raw).then(|| Values::new(!request::is_lines(&kind), rules.most)),
        ended: false,
        count: 0,
    }))
}

struct Upload {
    body: Body,
    head: RequestHead,
    binding: Arc<Binding>,
    rules: Arc<Rules>,
    /// Until the first message.
    parameters: Option<Vec<u8>>,
    /// None: pieces of any kind.
    values: Option<Values>,
    ended: bool,
    /// Messages so far.
    count: usize,
}

impl Upload {
    fn message(&mut self, content: &[u8]) -> Result<Bytes, Error> {
        let parameters = self.parameters.take().unwrap_or_default();
        self.count += 1;
        request::put(&self.binding, &self.head, content, &parameters, &self.rules).map_err(|mut error| {
            error.detail = format!("Message {}: {}", self.count, error.detail);
            error
        })
    }

    fn value(&mut self) -> Result<Option<Bytes>, Error> {
        let ended = self.ended;
        let Some(values) = &mut self.values else { return Ok(None) };
        let most = self.rules.most;
        let place = || match self.count {
            0 => "Before the first message".to_owned(),
            count => format!("Behind message {count}"),
        };
        let value = values.value(ended).map_err(|fault| match fault {
            Fault::TooLarge => Error::new(Kind::BodyTooLarge, format!("Here a message is at most {most} bytes")),
            Fault::Malformed => {
                Error::new(Kind::InvalidBody, format!("{}: there is something else than a message", place()))
            }
            Fault::Unended => Error::new(Kind::InvalidBody, format!("{}: the content ends too early", place())),
        })?;
        value.map(|value| self.message(&value)).transpose()
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        (self.ended, self.parameters, self.values) = (true, None, None);
        self.body = Body::empty();
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            match this.value() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) => {}
                Err(error) => return this.fail(error),
            }
            if this.ended {
                // What path and query say is said, also where there is no content.
                if this.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
                    return Poll::Ready(Some(this.message(b"").map(Frame::data)));
                }
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match (frame.into_data(), &mut this.values) {
                    (Ok(data), Some(values)) => values.push(&data),
                    (Ok(data), None) if data.is_empty() => {}
                    (Ok(data), None) => match this.message(&data) {
                        Ok(message) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                        Err(error) => return this.fail(error),
                    },
                    (Err(_), _) => this.ended = true,
                },
                Some(Err(error)) => return this.fail(error),
                None => this.ended = true,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.values.is_none() && self.parameters.is_none()
    }
}
