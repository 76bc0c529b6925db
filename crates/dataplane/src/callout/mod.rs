//! What the data plane asks of the control plane, and what the control plane asks of it: one queue and one eventfd to
//! the control plane, one batch per worker back.
//!
//! Workers push notices and write the eventfd only when the queue was empty; the control plane wakes once and takes all.
//! An id's remainder by the number of workers is the worker that it belongs to.

mod calls;
mod waiting;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use rustix::event::{eventfd, EventfdFlags};
use stagedoor_expression::Value;

pub use calls::{call, cancel, request, Asked};
pub use waiting::{answer, ask, Pending};

use crate::error::{Error, Kind};
use crate::subject::Subject;

/// Callouts that wait for an answer, over all workers; one more is 503 with `Retry-After`.
pub const MAX_WAITING: usize = 10_000;

/// What the control plane has to know.
pub enum Notice {
    Execute(Execute),
    ShowExecution {
        callout: u64,
        route: String,
        execution: String,
        consumer: Option<String>,
    },
    /// CloudEvents for workflows: the header fields that are about them, and the body.
    ReceiveEvents {
        callout: u64,
        route: String,
        headers: HeaderMap,
        body: bytes::Bytes,
    },
    /// The client of a callout went away or its time ran out: nobody waits for the answer.
    Abandoned {
        callout: u64,
    },
    /// A token is signed with a key of that issuer which is not known.
    KeysWanted {
        issuer: String,
        /// None of its keys are.
        first: bool,
    },
    /// Something does not work that serving goes on without; for the log.
    Trouble {
        text: String,
    },
    Answered {
        call: u64,
        status: StatusCode,
        headers: HeaderMap,
        body: bytes::Bytes,
    },
    /// `sent` is false only when it is certain that no byte of the request was written.
    Unanswered {
        call: u64,
        sent: bool,
        error: Error,
    },
}

/// A request for a workflow route.
pub struct Execute {
    pub callout: u64,
    pub route: String,
    /// `namespace/name`.
    pub workflow: String,
    pub input: Value,
    pub consumer: Option<String>,
    /// The caller's token, where some cluster is given another one for it.
    pub subject: Option<Arc<Subject>>,
    pub idempotency_key: Option<String>,
    pub traceparent: String,
    pub request_id: String,
    /// 0 with `Prefer: respond-async`.
    pub wait_ms: u64,
}

/// What the control plane says to a callout.
#[derive(Debug)]
pub enum Answer {
    Completed {
        execution: String,
        output: Value,
    },
    /// An RFC 9457 object with `compensation` in it.
    Faulted {
        execution: String,
        error: Value,
    },
    Running {
        execution: String,
        status: Value,
    },
    Shown {
        execution: String,
        status: Value,
    },
    /// So many events that were not known are on the disk.
    Stored {
        count: u32,
    },
    Refused {
        kind: Kind,
        detail: String,
        retry_after_s: Option<u64>,
    },
}

#[derive(Default)]
pub struct CalloutPort {
    queue: Mutex<Vec<Notice>>,
    waiting: AtomicUsize,
    /// Made when the control plane takes its place; without it there is nobody to ask.
    event: OnceLock<OwnedFd>,
}

impl CalloutPort {
    /// From now on callouts wait for the control plane. Further calls do nothing.
    pub fn attach(&self) -> io::Result<()> {
        if self.event.get().is_none() {
            let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let _already = self.event.set(event);
        }
        Ok(())
    }

    /// Readable while `take` has something. None before `attach`.
    pub fn event(&self) -> Option<BorrowedFd<'_>> {
        self.event.get().map(std::os::fd::AsFd::as_fd)
    }

    /// All that waits, without blocking.
    pub fn take(&self) -> Vec<Notice> {
        let mut queue = self.queue.lock();
        if let Some(event) = self.event() {
            // Not readable when nothing was written; the queue is empty then.
            let _unwritten = rustix::io::read(event, &mut [0; 8]);
        }
        std::mem::take(&mut *queue)
    }

    pub fn push(&self, notice: Notice) {
        let mut queue = self.queue.lock();
        let first = queue.is_empty();
        queue.push(notice);
        if let (true, Some(event)) = (first, self.event()) {
            // The counter cannot overflow: it is read before it is written again.
            let _written = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// Callouts that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Result<(), Error> {
        if self.event.get().is_none() {
            return Err(Error::new(Kind::EngineUnavailable, "There is no workflow engine"));
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.leave();
            return Err(Error::new(Kind::Overloaded, "Too many requests wait for the workflow engine")
                .header(RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Ok(())
    }

    fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
