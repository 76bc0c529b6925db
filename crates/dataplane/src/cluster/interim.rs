//! Interim responses (1xx) of an endpoint: told to the exchange, or to the upload that waits for 100.
//!
//! They are taken out of the connection's bytes before hyper sees them. hyper can report them too, but only to a
//! callback put into each request's extensions, which costs every request some allocations for what few ever see.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::hop_by_hop;

/// Takes 1xx responses other than 100 and 101, hop-by-hop headers already removed. May drop them: they are optional.
pub type InterimSink = Rc<dyn Fn(StatusCode, HeaderMap)>;

/// More than this before the final answer are dropped.
const MOST: usize = 16;

/// Of one connection, and so of one exchange at a time.
#[derive(Default)]
pub(super) struct Interim {
    /// The head of the final answer has not begun: bytes that come may be an interim one.
    awaiting: Cell<bool>,
    continued: Cell<bool>,
    seen: Cell<usize>,
    waiting: RefCell<VecDeque<(StatusCode, HeaderMap)>>,
    exchange: RefCell<Option<Waker>>,
    upload: RefCell<Option<Waker>>,
}

impl Interim {
    /// A request is about to be sent.
    pub(super) fn begin(&self) {
        self.awaiting.set(true);
        self.continued.set(false);
        self.seen.set(0);
        if !self.waiting.borrow().is_empty() {
            self.waiting.borrow_mut().clear();
        }
    }

    pub(super) fn is_awaiting(&self) -> bool {
        self.awaiting.get()
    }

    pub(super) fn final_head_begins(&self) {
        self.awaiting.set(false);
    }

    pub(super) fn received(&self, status: StatusCode, mut headers: HeaderMap) {
        if status == StatusCode::CONTINUE {
            self.continued.set(true);
            if let Some(upload) = self.upload.take() {
                upload.wake();
            }
            return;
        }
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() > MOST {
            return;
        }
        hop_by_hop::strip_response(&mut headers);
        self.waiting.borrow_mut().push_back((status, headers));
        if let Some(exchange) = self.exchange.take() {
            exchange.wake();
        }
    }

    /// Passes on what has come; called whenever the exchange is polled.
    pub(super) fn pass_on(&self, sink: &InterimSink, context: &mut Context<'_>) {
        while let Some((status, headers)) = self.next() {
            sink(status, headers);
        }
        let mut exchange = self.exchange.borrow_mut();
        if !exchange.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *exchange = Some(context.waker().clone());
        }
    }

    fn next(&self) -> Option<(StatusCode, HeaderMap)> {
        self.waiting.borrow_mut().pop_front()
    }

    pub(super) fn poll_continue(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.continued.get() {
            return Poll::Ready(());
        }
        self.upload.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// What the bytes after a request begin with.
#[derive(Debug, PartialEq)]
pub(super) enum Begins {
    /// A whole interim head of this many bytes.
    Interim(StatusCode, HeaderMap, usize),
    /// It may become one.
    Partial,
    /// Anything else, which is hyper's to judge.
    Other,
}

/// Position of the first digit of the status in `HTTP/1.1 1xx`.
const STATUS: usize = 9;

/// The one look that every answer gets.
#[inline]
pub(super) fn is_plainly_final(bytes: &[u8]) -> bool {
    bytes.get(STATUS).is_some_and(|digit| *digit != b'1')
}

pub(super) fn examine(bytes: &[u8]) -> Begins {
    const START: &[u8] = b"HTTP/1.1 1";
    let common = bytes.len().min(START.len());
    if bytes[..common] != START[..common] {
        return Begins::Other;
    }
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Begins::Partial;
    };
    parse(&bytes[..end]).map_or(Begins::Other, |(status, headers)| Begins::Interim(status, headers, end + 4))
}

/// None for whatever is not perfectly plain, and for 101, which is a final answer.
fn parse(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next()?;
    let status = StatusCode::from_bytes(first.get(STATUS..STATUS + 3)?).ok()?;
    if status == StatusCode::SWITCHING_PROTOCOLS || !matches!(first.get(STATUS + 3), None | Some(b' ')) {
        return None;
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = memchr::memchr(b':', line)?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((status, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_heads_are_told_from_all_else_at_any_cut() {
        let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let length = hint.len() - b"HTTP/1.1 200 OK\r\n\r\n".len();
        for cut in 0..hint.len() {
            match examine(&hint[..cut]) {
                Begins::Interim(status, headers, taken) => {
                    assert_eq!((status.as_u16(), headers.get_all("link").iter().count(), taken), (103, 2, length));
                    assert!(cut >= length);
                }
                other => assert!(other == Begins::Partial && cut < length, "{cut}"),
            }
        }
        for other in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.0 100 Continue\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 1000 X\r\n\r\n",
            b"HTTP/1.1 103 X\r\n folded: x\r\n\r\n",
            b"HTTP/1.1 103 X\r\nname : x\r\n\r\n",
            b"SSH-2.0",
        ] {
            assert_eq!(examine(other), Begins::Other, "{}", String::from_utf8_lossy(other));
        }
    }
}
