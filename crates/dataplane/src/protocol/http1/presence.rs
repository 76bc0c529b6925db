//! Whether the client of the exchange at hand is still there. Nobody reads the socket meanwhile, so that a client which
//! has shut its sending side still gets its answer; then nobody would notice one that has gone altogether.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, Sleep};

use crate::transport::{Sight, Stream};

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
    pub(super) fn poll_gone(&mut self, stream: &Stream, context: &mut Context<'_>) -> Poll<()> {
        if self.patient.is_none() && !self.hidden {
            match stream.poll_look(context) {
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
