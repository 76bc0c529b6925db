//! What is left of an upload when the answer has begun.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::task::AbortHandle;

use super::upload::Upload;
use crate::error::Error;

pub(super) enum Rest {
    /// Sent by whoever reads the answer, as it reads.
    Here(Box<Upload>),
    /// Sent by a task of its own: a client that sends much before it reads anything of a long answer would wait for
    /// itself otherwise, as would one that listens while it has nothing to say.
    Apart(Rc<Ending>, AbortHandle),
}

#[derive(Default)]
pub(super) struct Ending {
    outcome: RefCell<Option<Result<(), Error>>>,
    waker: RefCell<Option<Waker>>,
}

impl Rest {
    pub(super) fn here(mut upload: Upload) -> Self {
        // What the endpoint has to say it says without waiting for the rest.
        upload.answered();
        Self::Here(Box::new(upload))
    }

    /// There is nothing more to send.
    pub(super) fn ended(mut upload: Upload) -> Self {
        upload.close(Bytes::new());
        Self::Here(Box::new(upload))
    }

    pub(super) fn apart(mut upload: Upload) -> Self {
        upload.answered();
        if upload.progress().is_over() {
            return Self::Here(Box::new(upload));
        }
        let ending = Rc::<Ending>::default();
        let told = ending.clone();
        let task = tokio::task::spawn_local(async move {
            let outcome = poll_fn(|context| upload.poll(context)).await;
            told.outcome.replace(Some(outcome));
            if let Some(waker) = told.waker.take() {
                waker.wake();
            }
        });
        Self::Apart(ending, task.abort_handle())
    }

    /// Ready when there is nothing more to send; the error is the body's own.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Here(upload) => upload.poll(context),
            Self::Apart(ending, _) => match ending.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    ending.waker.replace(Some(context.waker().clone()));
                    Poll::Pending
                }
            },
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let Self::Apart(_, task) = self {
            task.abort();
        }
    }
}
