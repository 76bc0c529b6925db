//! How long the client may take for what it owes: one timer for each connection and none for each request.

use std::future::Future;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use tokio::time::{sleep_until, Duration, Instant, Sleep};

use crate::snapshot::ListenerLimits;

/// What the client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first byte of a head.
    Idle,
    Head,
    Body,
}

/// The timer is set when it must ring earlier than it would, and looks again when it rings too early: on a busy
/// connection it is hardly ever touched.
pub(super) struct Timeouts {
    phase: Phase,
    /// Since when the client is waited for; None: something has come since the last look.
    since: Option<Instant>,
    before_first: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Timeouts {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Idle, since: None, before_first: true, timer: None }
    }

    /// Something has come, or something else is waited for.
    pub(super) fn note(&mut self, phase: Phase) {
        // A head has one time for all of its bytes, or a byte a second could hold a connection for ever.
        if phase != Phase::Head || self.phase != Phase::Head {
            self.since = None;
        }
        self.before_first &= phase == Phase::Idle;
        self.phase = phase;
    }

    /// Ready when the client has taken too long. To be asked only while it is waited for.
    pub(super) fn poll(&mut self, limits: &ListenerLimits, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let limit = match self.phase {
            Phase::Idle if self.before_first => limits.head_read_ms,
            Phase::Idle => limits.idle_ms,
            Phase::Head => limits.head_read_ms,
            Phase::Body => limits.body_idle_ms,
        };
        let deadline = since + Duration::from_millis(limit);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}
