//! What the guard, hyper's service and the connection's driver know of one connection together.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::{sleep, Sleep};

use crate::cluster::InterimSink;
use crate::error::Error;
use crate::forwarded::Peer;
use crate::listener::Listener;

pub struct Link {
    pub(super) stream: RefCell<TcpStream>,
    pub peer: SocketAddr,
    pub sender: Peer,
    pub listener: Arc<Listener>,
    /// The head that is not handed to the parser, by its number, and why.
    refusal: RefCell<Option<(u64, Error)>>,
    /// Why the body at hand cannot be read to its end.
    broken: RefCell<Option<Error>>,
    /// Requests that the parser has yielded.
    served: Cell<u64>,
    /// An exchange is under way; it ends with its response's body.
    in_flight: Cell<bool>,
    /// The final head of the exchange has been handed to hyper.
    started: Cell<bool>,
    pub(super) ended: Cell<bool>,
    /// Everything that hyper wrote has left.
    pub(super) flushed: Cell<bool>,
    interim: RefCell<Vec<u8>>,
    /// When the exchange at hand must be over.
    pub deadline: Cell<Option<Instant>>,
    /// Bytes of the request body at hand.
    pub received: Cell<u64>,
    /// How many there may be.
    pub allowed: Cell<u64>,
    sink: RefCell<Option<InterimSink>>,
    waker: RefCell<Option<Waker>>,
    draining: Cell<bool>,
    /// A body will stay unread: nothing after it can be read either.
    closing: Cell<bool>,
}

impl Link {
    pub fn new(stream: TcpStream, peer: SocketAddr, listener: Arc<Listener>) -> Rc<Self> {
        Rc::new(Self {
            stream: RefCell::new(stream),
            peer,
            sender: Peer::new(peer),
            listener,
            refusal: RefCell::default(),
            broken: RefCell::default(),
            served: Cell::new(0),
            in_flight: Cell::new(false),
            started: Cell::new(false),
            ended: Cell::new(false),
            flushed: Cell::new(true),
            interim: RefCell::default(),
            deadline: Cell::new(None),
            received: Cell::new(0),
            allowed: Cell::new(u64::MAX),
            sink: RefCell::default(),
            waker: RefCell::default(),
            draining: Cell::new(false),
            closing: Cell::new(false),
        })
    }

    /// The parser has yielded a request: the error if its head was refused.
    pub(super) fn begin(&self) -> Option<Error> {
        let number = self.served.get() + 1;
        self.served.set(number);
        self.in_flight.set(true);
        self.started.set(false);
        self.deadline.set(None);
        self.received.set(0);
        self.allowed.set(u64::MAX);
        match &*self.refusal.borrow() {
            Some((refused, error)) if *refused == number => Some(error.clone()),
            _ => None,
        }
    }

    /// The client has not taken the whole answer by the deadline of its exchange. Looked at only while a write is stuck:
    /// whoever reads slowly must not hold a connection to an endpoint for as long as it likes.
    pub(super) fn is_overdue(&self) -> bool {
        !self.flushed.get() && self.deadline.get().is_some_and(|deadline| deadline <= Instant::now())
    }

    pub(super) fn answer_started(&self) {
        self.started.set(true);
    }

    /// The exchange is over, its body included.
    pub fn end(&self) {
        self.in_flight.set(false);
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

    /// Queues an interim response. It is dropped where it could get into another message's bytes; interim responses are
    /// optional (RFC 9110 §15.2). HTTP/1.0 clients do not know them, and none are forwarded to those by the caller.
    pub fn interim(&self, status: StatusCode, headers: &HeaderMap) {
        if !self.in_flight.get() || self.started.get() || !self.flushed.get() {
            return;
        }
        let mut bytes = self.interim.borrow_mut();
        bytes.extend_from_slice(b"HTTP/1.1 ");
        bytes.extend_from_slice(status.as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(status.canonical_reason().unwrap_or("Interim").as_bytes());
        bytes.extend_from_slice(b"\r\n");
        for (name, value) in headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
    }

    /// Where an endpoint's interim responses go; made once for each connection.
    pub fn interim_sink(self: &Rc<Self>) -> InterimSink {
        let mut sink = self.sink.borrow_mut();
        let made = sink.get_or_insert_with(|| {
            let link = Rc::downgrade(self);
            Rc::new(move |status, headers: HeaderMap| {
                if let Some(link) = link.upgrade() {
                    link.interim(status, &headers);
                }
            })
        });
        made.clone()
    }

    /// Interim responses leave before anything else that hyper writes.
    pub(super) fn poll_interim(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    /// Asks the connection to end after the exchange at hand, at once if there is none.
    pub fn drain(&self) {
        self.draining.set(true);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn close(&self) {
        self.closing.set(true);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    pub(super) fn watch(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
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
    pub(super) fn poll_gone(&mut self, link: &Link, context: &mut Context<'_>) -> Poll<()> {
        if !link.in_flight.get() {
            self.hidden = false;
            self.patient = None;
            return Poll::Pending;
        }
        if self.patient.is_none() && !self.hidden {
            let stream = link.stream.borrow();
            while stream.poll_read_ready(context).is_ready() {
                let looked = stream.try_io(Interest::READABLE, || {
                    socket2::SockRef::from(&*stream).peek(&mut [MaybeUninit::uninit(); 1])
                });
                match looked {
                    Ok(0) => {
                        self.patient = Some(Box::pin(sleep(self.patience)));
                        break;
                    }
                    Ok(_) => {
                        self.hidden = true;
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(()),
                }
            }
        }
        match &mut self.patient {
            Some(patient) => patient.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
