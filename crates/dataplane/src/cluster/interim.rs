//! Interim responses (1xx) of an endpoint. hyper reports them to a callback that must be `Send`; here they wait for the
//! exchange, which lives on the same thread.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use super::hop_by_hop;

/// Takes 1xx responses other than 100 and 101, hop-by-hop headers already removed. May drop them: they are optional.
pub type InterimSink = Rc<dyn Fn(StatusCode, HeaderMap)>;

/// More than this before the final answer are dropped.
const MOST: usize = 16;

#[derive(Default)]
pub(super) struct Interim(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<(StatusCode, HeaderMap)>,
    seen: usize,
    continued: bool,
    exchange: Option<Waker>,
    upload: Option<Waker>,
}

impl Interim {
    /// Called by hyper.
    pub(super) fn received(&self, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.0.lock();
        if status == StatusCode::CONTINUE {
            state.continued = true;
            if let Some(upload) = state.upload.take() {
                upload.wake();
            }
            return;
        }
        state.seen += 1;
        if state.seen > MOST {
            return;
        }
        let mut headers = headers.clone();
        hop_by_hop::strip_response(&mut headers);
        state.waiting.push_back((status, headers));
        if let Some(exchange) = state.exchange.take() {
            exchange.wake();
        }
    }

    /// Passes on what has come; called whenever the exchange is polled.
    pub(super) fn pass_on(&self, sink: &InterimSink, context: &mut Context<'_>) {
        let waiting = {
            let mut state = self.0.lock();
            state.exchange = Some(context.waker().clone());
            std::mem::take(&mut state.waiting)
        };
        for (status, headers) in waiting {
            sink(status, headers);
        }
    }

    pub(super) fn poll_continue(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if state.continued {
            return Poll::Ready(());
        }
        state.upload = Some(context.waker().clone());
        Poll::Pending
    }
}
