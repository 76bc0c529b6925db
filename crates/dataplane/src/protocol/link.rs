//! What an exchange and the codec that carries it know together. HTTP/1.1 has one link for a connection, whose exchanges
//! follow one another; HTTP/2 has one for each stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};

use super::connection::Connection;
use crate::cluster::InterimSink;

/// Interim responses that wait to be written; more are dropped, which is always allowed (RFC 9110 §15.2).
const WAITING: usize = 16;

pub struct Link {
    pub connection: Rc<Connection>,
    /// When the exchange at hand must be over: whoever takes its answer slowly must not hold an endpoint's connection for
    /// as long as it likes. None: there is no answer yet.
    pub deadline: Cell<Option<Instant>>,
    /// Bytes of the request body at hand.
    pub received: Cell<u64>,
    /// How many there may be.
    pub allowed: Cell<u64>,
    /// The body may pause for as long as the exchange may: its other side goes on meanwhile, and is bounded itself.
    pub pauses: Cell<bool>,
    interim: RefCell<VecDeque<(StatusCode, HeaderMap)>>,
    sink: RefCell<Option<InterimSink>>,
    in_flight: Cell<bool>,
    /// The body was asked for, and the client waits to be told.
    continues: Cell<bool>,
}

impl Link {
    pub fn new(connection: Rc<Connection>) -> Rc<Self> {
        Rc::new(Self {
            connection,
            deadline: Cell::new(None),
            received: Cell::new(0),
            allowed: Cell::new(u64::MAX),
            pauses: Cell::new(false),
            interim: RefCell::default(),
            sink: RefCell::default(),
            in_flight: Cell::new(false),
            continues: Cell::new(false),
        })
    }

    /// An exchange begins; what was known of the one before is forgotten.
    pub(super) fn begin(&self) {
        self.deadline.set(None);
        self.received.set(0);
        self.allowed.set(u64::MAX);
        self.pauses.set(false);
        self.in_flight.set(true);
        self.drop_interim();
    }

    /// The exchange is over, its response's body included.
    pub fn end(&self) {
        self.in_flight.set(false);
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Where an endpoint's interim responses go. They are for the codec to write before the final answer.
    pub fn interim_sink(self: &Rc<Self>) -> InterimSink {
        let mut sink = self.sink.borrow_mut();
        let made = sink.get_or_insert_with(|| {
            let link = Rc::downgrade(self);
            Rc::new(move |status, mut headers: HeaderMap| {
                if let Some(link) = link.upgrade() {
                    // RFC 9110 §8.6: an interim response has no content, and says nothing of its length.
                    headers.remove(CONTENT_LENGTH);
                    let mut waiting = link.interim.borrow_mut();
                    if link.in_flight.get() && waiting.len() < WAITING {
                        waiting.push_back((status, headers));
                    }
                }
            })
        });
        made.clone()
    }

    /// The next interim response to be written; the codec asks after it has polled the exchange.
    pub(super) fn next_interim(&self) -> Option<(StatusCode, HeaderMap)> {
        self.interim.borrow_mut().pop_front()
    }

    /// `100 Continue` is to be written, behind the interim responses that came before.
    pub(super) fn ask_for_body(&self) {
        self.continues.set(true);
        self.connection.wake();
    }

    pub(super) fn take_continue(&self) -> bool {
        self.continues.replace(false)
    }

    /// The final answer is at hand: what has not been written by now would come too late.
    pub(super) fn drop_interim(&self) {
        self.continues.set(false);
        if !self.interim.borrow().is_empty() {
            self.interim.borrow_mut().clear();
        }
    }
}
