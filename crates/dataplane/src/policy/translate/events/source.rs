//! The service's event stream, event by event as they are asked for; asked for again where it ends and the configuration
//! says so, with the id of the last event (HTML Standard, server-sent events).

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{request, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use tokio::time::{sleep, Sleep};

use crate::error::{Error, Kind};
use crate::exchange::{Exchange, Rewritten};
use crate::protocol::body::Body;
use crate::protocol::event_stream::{Event, Framing, Scan};
use crate::route::Route;
use crate::target::{forward, Target};
use crate::worker::Worker;

pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// However long a service asks to be left alone, or however often it has failed.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// UTF-8 with a byte order mark.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// When a stream that has ended is asked for again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reconnect {
    /// Unless the service says otherwise.
    pub(super) delay: Duration,
    /// In a row without an event.
    pub(super) attempts: u32,
}

/// What it takes to ask for the stream again.
pub(super) struct Origin {
    pub(super) worker: Rc<Worker>,
    pub(super) route: Arc<Route>,
    /// What was known of the exchange, as a beginning of others.
    pub(super) exchange: Exchange,
    pub(super) rewritten: Option<Box<Rewritten>>,
    pub(super) head: request::Parts,
    /// When all of it must be over.
    pub(super) until: Instant,
}

impl Origin {
    async fn ask(self: Rc<Self>, last: Option<HeaderValue>) -> Result<Body, Error> {
        let Target::Cluster(target) = &self.route.target else {
            return Err(Error::new(Kind::Internal, "The target is not a cluster"));
        };
        let mut exchange = self.exchange.again();
        exchange.deadline = self.until;
        exchange.rewritten.clone_from(&self.rewritten);
        let mut head = self.head.clone();
        if let Some(last) = last {
            head.headers.insert(LAST_EVENT_ID, last);
        }
        let request = Request::from_parts(head, Body::empty());
        let own = self.route.policies.version.as_ref().and_then(|policy| policy.cluster(&exchange)).cloned();
        let cluster = own.unwrap_or_else(|| target.cluster.clone());
        let answer = forward::forward(&self.worker, &mut exchange, target, &cluster, request, None).await?;
        content(answer)
    }
}

/// The stream, where an answer is one.
pub(super) fn content(answer: Response<Body>) -> Result<Body, Error> {
    match (answer.status(), Framing::of(answer.headers())) {
        (StatusCode::OK, Some(Framing::Events)) => Ok(answer.into_body()),
        (StatusCode::OK, _) => Err(Error::new(Kind::BadReply, "the service's answer is not text/event-stream")),
        (status, _) => {
            Err(Error::new(Kind::BadReply, format!("the service answered with HTTP status {}", status.as_u16())))
        }
    }
}

type Asked = Pin<Box<dyn Future<Output = Result<Body, Error>>>>;

enum State {
    Open(Body),
    Waiting(Pin<Box<Sleep>>),
    Asking(Asked),
    Over,
}

/// Holds one event, at most so large as allowed, and what has come of the next.
pub(super) struct Source {
    origin: Rc<Origin>,
    reconnect: Option<Reconnect>,
    most: usize,
    state: State,
    buffer: BytesMut,
    scan: Scan,
    /// Nothing of the stream at hand has been looked at.
    fresh: bool,
    last: Option<HeaderValue>,
    delay: Option<Duration>,
    /// In a row without an event.
    attempts: u32,
}

impl Source {
    pub(super) fn new(origin: Origin, body: Body, reconnect: Option<Reconnect>, most: usize) -> Self {
        Self {
            last: origin.head.headers.get(LAST_EVENT_ID).cloned(),
            origin: Rc::new(origin),
            reconnect,
            most,
            state: State::Open(body),
            buffer: BytesMut::new(),
            scan: Scan::default(),
            fresh: true,
            delay: None,
            attempts: 0,
        }
    }

    /// The next event that has data; None when no more come.
    ///
    /// Errors: `BadReply`, `DeadlineExceeded` and those of asking again.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Event>, Error>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(Ok(None)),
                State::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(context));
                    self.state = State::Asking(Box::pin(self.origin.clone().ask(self.last.clone())));
                }
                State::Asking(asked) => match ready!(asked.as_mut().poll(context)) {
                    Ok(body) => {
                        self.buffer.clear();
                        (self.state, self.scan, self.fresh) = (State::Open(body), Scan::default(), true);
                    }
                    Err(error) => self.ended(Err(error))?,
                },
                State::Open(body) => {
                    let end = self.scan.end(Framing::Events, &self.buffer);
                    if end.unwrap_or(self.buffer.len()) > self.most {
                        self.state = State::Over;
                        let detail = format!("an event of the service's stream is larger than {} bytes", self.most);
                        return Poll::Ready(Err(Error::new(Kind::BadReply, detail)));
                    }
                    if let Some(end) = end {
                        let block = self.buffer.split_to(end);
                        if let Some(event) = self.event(&block) {
                            return Poll::Ready(Ok(Some(event)));
                        }
                        continue;
                    }
                    match ready!(Pin::new(body).poll_frame(context)) {
                        Some(Ok(frame)) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
                        Some(Err(error)) => self.ended(Err(error))?,
                        // What the stream leaves without an end is no event.
                        None => self.ended(Ok(()))?,
                    }
                }
            }
        }
    }

    fn event(&mut self, block: &[u8]) -> Option<Event> {
        let marked = std::mem::take(&mut self.fresh).then(|| block.strip_prefix(MARK)).flatten();
        let event = Event::read(marked.unwrap_or(block));
        if let Some(id) = &event.id {
            // An empty one takes back those before it.
            self.last = HeaderValue::from_str(id).ok().filter(|id| !id.is_empty());
        }
        if let Some(retry) = event.retry {
            self.delay = Some(Duration::from_millis(retry));
        }
        let told = event.data.is_some();
        if told {
            self.attempts = 0;
        }
        told.then_some(event)
    }

    /// Asks again where that is wanted and there is time; otherwise it is over, with `outcome`.
    fn ended(&mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        let again = self.reconnect.filter(|reconnect| self.attempts < reconnect.attempts);
        let delay = again.map(|reconnect| {
            let delay = self.delay.unwrap_or(reconnect.delay).saturating_mul(1 << self.attempts.min(6));
            delay.min(LONGEST_DELAY)
        });
        match delay.filter(|delay| Instant::now() + *delay < self.origin.until) {
            Some(delay) => {
                self.attempts += 1;
                self.state = State::Waiting(Box::pin(sleep(delay)));
                Ok(())
            }
            None => {
                self.state = State::Over;
                outcome
            }
        }
    }
}
