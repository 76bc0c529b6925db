//! What the guard, hyper's service and the connection's driver know of one connection's bytes together.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::{sleep, Sleep};

use super::link::Link;
use crate::error::Error;
use crate::transport::{Sight, Stream};

pub(super) struct Wire {
    pub(super) stream: RefCell<Stream>,
    pub(super) link: Rc<Link>,
    /// The head that is not handed to the parser, by its number, and why.
    refusal: RefCell<Option<(u64, Error)>>,
    /// Why the body at hand cannot be read to its end.
    broken: RefCell<Option<Error>>,
    /// Requests that the parser has yielded.
    served: Cell<u64>,
    /// The final head of the exchange has been handed to hyper.
    started: Cell<bool>,
    pub(super) ended: Cell<bool>,
    /// Everything that hyper wrote has left.
    pub(super) flushed: Cell<bool>,
    interim: RefCell<Vec<u8>>,
}

impl Wire {
    pub(super) fn new(stream: Stream, link: Rc<Link>) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
            link,
            refusal: RefCell::default(),
            broken: RefCell::default(),
            served: Cell::new(0),
            started: Cell::new(false),
            ended: Cell::new(false),
            flushed: Cell::new(true),
            interim: RefCell::default(),
        })
    }

    /// The parser has yielded a request: the error if its head was refused.
    pub(super) fn begin(&self) -> Option<Error> {
        let number = self.served.get() + 1;
        self.served.set(number);
        self.link.begin();
        self.started.set(false);
        match &*self.refusal.borrow() {
            Some((refused, error)) if *refused == number => Some(error.clone()),
            _ => None,
        }
    }

    /// The client has not taken the whole answer by the deadline of its exchange. Looked at only while a write is stuck:
    /// whoever reads slowly must not hold a connection to an endpoint for as long as it likes.
    pub(super) fn is_overdue(&self) -> bool {
        !self.flushed.get() && self.link.is_overdue()
    }

    pub(super) fn answer_started(&self) {
        self.started.set(true);
    }

    pub(super) fn refuse(&self, number: u64, error: Error) {
        self.refusal.replace(Some((number, error)));
    }

    pub(super) fn break_body(&self, error: Error) {
        self.broken.replace(Some(error));
    }

    /// What the guard found wrong with the body that the parser could not read on.
    pub(super) fn broken(&self) -> Option<Error> {
        self.broken.borrow_mut().take()
    }

    /// Queues interim responses. They are dropped where they could get into another message's bytes.
    fn take_interim(&self) {
        if !self.link.is_in_flight() || self.started.get() || !self.flushed.get() {
            return self.link.drop_interim();
        }
        while let Some((status, headers)) = self.link.next_interim() {
            let mut bytes = self.interim.borrow_mut();
            bytes.extend_from_slice(b"HTTP/1.1 ");
            bytes.extend_from_slice(status.as_str().as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(status.canonical_reason().unwrap_or("Interim").as_bytes());
            bytes.extend_from_slice(b"\r\n");
            for (name, value) in &headers {
                bytes.extend_from_slice(name.as_str().as_bytes());
                bytes.extend_from_slice(b": ");
                bytes.extend_from_slice(value.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"\r\n");
        }
    }

    /// Interim responses leave before anything else that hyper writes.
    pub(super) fn poll_interim(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take_interim();
        let mut bytes = self.interim.borrow_mut();
        while !bytes.is_empty() {
            match Pin::new(&mut *self.stream.borrow_mut()).poll_write(context, &bytes) {
                Poll::Ready(Ok(written)) => {
                    bytes.drain(..written);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the client of the exchange at hand is still there. hyper leaves the socket alone meanwhile, so that a client
/// which has shut its sending side still gets its answer; then nobody would notice one that has gone altogether.
pub(super) struct Presence {
    patience: Duration,
    /// Runs from the client's FIN.
    patient: Option<Pin<Box<Sleep>>>,
    /// The socket holds the beginning of a further request: an end behind it cannot be seen.
    hidden: bool,
}

impl Presence {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, patient: None, hidden: false }
    }

    /// Ready when the client is gone: it reset the connection, or it sent its FIN and patience has run out.
    pub(super) fn poll_gone(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<()> {
        if !wire.link.is_in_flight() {
            self.hidden = false;
            self.patient = None;
            return Poll::Pending;
        }
        if self.patient.is_none() && !self.hidden {
            match wire.stream.borrow().poll_look(context) {
                Poll::Ready(Sight::End) => self.patient = Some(Box::pin(sleep(self.patience))),
                Poll::Ready(Sight::Bytes) => self.hidden = true,
                Poll::Ready(Sight::Broken) => return Poll::Ready(()),
                Poll::Ready(Sight::Quiet) | Poll::Pending => {}
            }
        }
        match &mut self.patient {
            Some(patient) => patient.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
