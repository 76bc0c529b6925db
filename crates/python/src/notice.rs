//! What the control plane is told, and what it says: notices, answers and calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use stagedoor_dataplane::callout::{self, Answer, Asked, Notice};
use stagedoor_dataplane::cluster::credentials::Caller;
use stagedoor_dataplane::error::{Error, Kind};
use stagedoor_dataplane::subject::Subject;

use crate::value;

/// A caller's token, which Python carries and cannot read.
#[pyclass(frozen, module = "stagedoor._core")]
pub struct CallerToken(Arc<Subject>);

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct Execute {
    callout: u64,
    route: String,
    workflow: String,
    input: Py<PyAny>,
    consumer: Option<String>,
    caller_token: Option<Py<CallerToken>>,
    idempotency_key: Option<String>,
    traceparent: String,
    request_id: String,
    wait_ms: u64,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct ShowExecution {
    callout: u64,
    route: String,
    execution: String,
    consumer: Option<String>,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct ReceiveEvents {
    callout: u64,
    route: String,
    headers: Vec<(String, String)>,
    body: Py<PyBytes>,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct Abandoned {
    callout: u64,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct KeysWanted {
    issuer: String,
    first: bool,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct Trouble {
    text: String,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct Answered {
    call: u64,
    status: u16,
    headers: Vec<(String, String)>,
    body: Py<PyBytes>,
}

#[pyclass(frozen, get_all, module = "stagedoor._core")]
pub struct Unanswered {
    call: u64,
    sent: bool,
    status: u16,
    code: &'static str,
    detail: String,
}

pub fn to_python(py: Python<'_>, notice: Notice) -> PyResult<Py<PyAny>> {
    Ok(match notice {
        Notice::Execute(execute) => Py::new(
            py,
            Execute {
                callout: execute.callout,
                route: execute.route,
                workflow: execute.workflow,
                input: value::to_python(py, &execute.input)?.unbind(),
                consumer: execute.consumer,
                caller_token: execute.subject.map(|subject| Py::new(py, CallerToken(subject))).transpose()?,
                idempotency_key: execute.idempotency_key,
                traceparent: execute.traceparent,
                request_id: execute.request_id,
                wait_ms: execute.wait_ms,
            },
        )?
        .into_any(),
        Notice::ShowExecution { callout, route, execution, consumer } => {
            Py::new(py, ShowExecution { callout, route, execution, consumer })?.into_any()
        }
        Notice::ReceiveEvents { callout, route, headers, body } => {
            let (headers, body) = (texts(&headers), PyBytes::new(py, &body).unbind());
            Py::new(py, ReceiveEvents { callout, route, headers, body })?.into_any()
        }
        Notice::Abandoned { callout } => Py::new(py, Abandoned { callout })?.into_any(),
        Notice::KeysWanted { issuer, first } => Py::new(py, KeysWanted { issuer, first })?.into_any(),
        Notice::Trouble { text } => Py::new(py, Trouble { text })?.into_any(),
        Notice::Answered { call, status, headers, body } => {
            let (headers, body) = (texts(&headers), PyBytes::new(py, &body).unbind());
            Py::new(py, Answered { call, status: status.as_u16(), headers, body })?.into_any()
        }
        Notice::Unanswered { call, sent, error } => {
            let (status, code) = (error.kind.status(), error.kind.code());
            Py::new(py, Unanswered { call, sent, status, code, detail: error.detail })?.into_any()
        }
    })
}

/// Values as ISO-8859-1, as Python's own HTTP libraries read them.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// What a notice that cannot be translated leaves to be answered.
pub fn callout_of(notice: &Notice) -> Option<u64> {
    match notice {
        Notice::Execute(execute) => Some(execute.callout),
        _ => None,
    }
}

/// `(callout, kind, ...)`, as `_core.pyi` says.
pub fn answer(answer: &Bound<'_, PyTuple>) -> PyResult<(u64, Answer)> {
    let callout = answer.get_item(0)?.extract()?;
    let kind: String = answer.get_item(1)?.extract()?;
    let text = |index: usize| answer.get_item(index)?.extract::<String>();
    let value = |index: usize| value::from_python(&answer.get_item(index)?);
    let answer = match kind.as_str() {
        "completed" => Answer::Completed { execution: text(2)?, output: value(3)? },
        "faulted" => Answer::Faulted { execution: text(2)?, error: value(3)? },
        "running" => Answer::Running { execution: text(2)?, status: value(3)? },
        "stored" => Answer::Stored { count: answer.get_item(2)?.extract()? },
        "shown" => Answer::Shown { execution: text(2)?, status: value(3)? },
        "refused" => {
            let code = text(2)?;
            let known = Kind::ALL.iter().find(|kind| kind.code() == code);
            let kind = *known.ok_or_else(|| PyValueError::new_err(format!("'{code}' is not an error kind")))?;
            Answer::Refused { kind, detail: text(3)?, retry_after_s: answer.get_item(4)?.extract()? }
        }
        other => return Err(PyValueError::new_err(format!("'{other}' is not a kind of answer"))),
    };
    Ok((callout, answer))
}

/// Last: the token of the caller for whom it is sent; `False` for one who had a token that is lost.
pub type CallParts<'py> =
    (u64, String, String, String, Vec<(String, String)>, Option<Bound<'py, PyBytes>>, u64, Bound<'py, PyAny>);

pub fn call((id, cluster, method, path, headers, body, timeout_ms, token): CallParts<'_>) -> Asked {
    let body = body.map(|body| Bytes::copy_from_slice(body.as_bytes())).unwrap_or_default();
    let caller = match token.cast::<CallerToken>() {
        Ok(token) => Caller::Subject(token.get().0.clone()),
        Err(_) if token.is_none() => Caller::Without { known: true },
        // Whatever else it is: no token goes where one is missing.
        Err(_) => Caller::Lost,
    };
    let call = callout::request(id, cluster, &method, path, headers, body, Duration::from_millis(timeout_ms))?;
    Ok((call, caller))
}

/// The answer to a callout whose own answer, or notice, Python could not give or take.
pub fn failed(error: impl std::fmt::Display) -> Answer {
    let error = Error::new(Kind::Internal, error.to_string());
    Answer::Refused { kind: error.kind, detail: "The workflow engine failed".to_owned(), retry_after_s: None }
}
