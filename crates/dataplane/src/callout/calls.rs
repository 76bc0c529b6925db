//! Requests that the control plane sends through clusters.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Notice;
use crate::cluster::call::{self, Call, Outcome};
use crate::cluster::credentials::Caller;
use crate::error::{Error, Kind};
use crate::server::Server;
use crate::worker::Worker;

/// A call from its parts, or the notice that it cannot be sent.
pub fn request(
    id: u64,
    cluster: String,
    method: &str,
    path: String,
    fields: Vec<(String, String)>,
    body: Bytes,
    timeout: Duration,
) -> Result<Call, Box<Notice>> {
    let invalid = |what: &str| {
        let error = Error::new(Kind::BadRequest, format!("the call's {what} is not valid"));
        Box::new(Notice::Unanswered { call: id, sent: false, error })
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| invalid("method"))?;
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(&format!("header name '{name}'")))?;
        let value = HeaderValue::from_str(&value).map_err(|_| invalid(&format!("header '{name}'")))?;
        headers.append(name, value);
    }
    Ok(Call { id, cluster, method, path, headers, body, idempotent: false, timeout })
}

/// A call with whom it is for, or the notice that it cannot be sent.
pub type Asked = Result<(Call, Caller), Box<Notice>>;

/// Sends each; each yields one `Answered` or `Unanswered` unless it is cancelled.
pub fn call(server: &Server, calls: Vec<Asked>) {
    let workers = server.workers();
    let mut batches: Vec<Vec<(Call, Caller)>> = (0..workers).map(|_| Vec::new()).collect();
    for call in calls {
        match call {
            Ok((call, caller)) => batches[call.id as usize % workers].push((call, caller)),
            Err(notice) => server.shared.callouts.push(*notice),
        }
    }
    for (worker, batch) in batches.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
        let ids: Vec<u64> = batch.iter().map(|(call, _)| call.id).collect();
        let job = move |worker: &Rc<Worker>| batch.into_iter().for_each(|(call, caller)| begin(worker, call, caller));
        if !server.run(worker, Box::new(job)) {
            for call in ids {
                let error = Error::new(Kind::Draining, "the gateway is shutting down");
                server.shared.callouts.push(Notice::Unanswered { call, sent: false, error });
            }
        }
    }
}

/// Drops those that are still on their way; they yield nothing.
pub fn cancel(server: &Server, calls: Vec<u64>) {
    let workers = server.workers();
    for worker in 0..workers {
        let ids: Vec<u64> = calls.iter().copied().filter(|id| *id as usize % workers == worker).collect();
        if ids.is_empty() {
            continue;
        }
        let job = move |worker: &Rc<Worker>| {
            for id in ids {
                let handle = worker.pending.calls.borrow_mut().remove(&id).flatten();
                if let Some(handle) = handle {
                    handle.abort();
                }
            }
        };
        server.run(worker, Box::new(job));
    }
}

/// Sees to it that a call which is not cancelled yields its notice, even if it panics.
struct Owed {
    worker: Rc<Worker>,
    call: u64,
}

impl Owed {
    fn settle(&self, outcome: Outcome) {
        if self.worker.pending.calls.borrow_mut().remove(&self.call).is_none() {
            return;
        }
        let call = self.call;
        self.worker.shared.callouts.push(match outcome {
            Outcome::Answered { status, mut headers, body, trailers } => {
                if is_grpc(&headers) {
                    // How the call ended stands behind its message.
                    headers.extend(trailers);
                }
                Notice::Answered { call, status, headers, body }
            }
            Outcome::Unanswered { sent, error } => Notice::Unanswered { call, sent, error },
        });
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

impl Drop for Owed {
    fn drop(&mut self) {
        let error = Error::new(Kind::Internal, "the call was broken off");
        self.settle(Outcome::Unanswered { sent: true, error });
    }
}

fn begin(worker: &Rc<Worker>, call: Call, caller: Caller) {
    let id = call.id;
    // In the table before the task runs, so that the task finds itself there.
    worker.pending.calls.borrow_mut().insert(id, None);
    let owed = Owed { worker: worker.clone(), call: id };
    let task = tokio::task::spawn_local(async move {
        let program = owed.worker.program();
        let cluster = program.clusters.get(call.cluster.as_str()).cloned();
        let outcome = call::run_for(call, cluster, &owed.worker, caller).await;
        owed.settle(outcome);
    });
    if let Some(entry) = worker.pending.calls.borrow_mut().get_mut(&id) {
        *entry = Some(task.abort_handle());
    }
}
