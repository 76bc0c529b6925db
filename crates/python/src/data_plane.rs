//! The data plane as an object: start, apply, drain, stop; notices out, answers and calls in.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use stagedoor_dataplane::callout;
use stagedoor_dataplane::policy::cache::Purge;
use stagedoor_dataplane::server::{Server, StartError};
use stagedoor_dataplane::snapshot::Snapshot;

use crate::notice;

#[pyclass(frozen, module = "stagedoor._core")]
pub struct DataPlane(Mutex<Option<Arc<Server>>>);

fn failed(error: StartError) -> PyErr {
    match &error {
        StartError::Snapshot(_) => PyValueError::new_err(error.to_string()),
        StartError::Bind { cause, .. } | StartError::Thread(cause) => match cause.raw_os_error() {
            Some(code) => PyOSError::new_err((code, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
    }
}

fn parse(snapshot: &str) -> PyResult<Snapshot> {
    serde_json::from_str(snapshot).map_err(|error| PyValueError::new_err(format!("snapshot: {error}")))
}

impl DataPlane {
    fn server(&self) -> PyResult<Arc<Server>> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        server.ok_or_else(|| PyRuntimeError::new_err("the data plane has not been started"))
    }
}

#[pymethods]
impl DataPlane {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn start(&self, py: Python<'_>, snapshot: &str) -> PyResult<BTreeMap<String, String>> {
        let snapshot = parse(snapshot)?;
        py.detach(|| {
            let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if place.is_some() {
                return Err(PyRuntimeError::new_err("the data plane has been started already"));
            }
            let server = Server::start(&snapshot).map_err(failed)?;
            server.shared.callouts.attach()?;
            let places = server.places();
            *place = Some(Arc::new(server));
            Ok(places)
        })
    }

    fn apply(&self, py: Python<'_>, snapshot: &str) -> PyResult<()> {
        let (server, snapshot) = (self.server()?, parse(snapshot)?);
        py.detach(|| server.apply(&snapshot)).map_err(failed)
    }

    fn drain(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let server = self.server()?;
        let timeout = Duration::try_from_secs_f64(timeout_s)
            .map_err(|error| PyValueError::new_err(format!("timeout_s: {error}")))?;
        Ok(py.detach(|| server.drain(timeout)))
    }

    /// What waits in `take` stays there.
    fn stop(&self, py: Python<'_>) {
        if let Ok(server) = self.server() {
            py.detach(|| server.stop());
        }
    }

    fn fileno(&self) -> PyResult<i32> {
        let event = self.server()?;
        let event = event.shared.callouts.event().map(|event| event.as_raw_fd());
        event.ok_or_else(|| PyRuntimeError::new_err("the data plane has no eventfd"))
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let server = self.server()?;
        let taken = PyList::empty(py);
        for notice in server.shared.callouts.take() {
            let callout = notice::callout_of(&notice);
            match (notice::to_python(py, notice), callout) {
                (Ok(notice), _) => taken.append(notice)?,
                // One request's value must not take the others with it.
                (Err(error), Some(callout)) => callout::answer(&server, vec![(callout, notice::failed(error))]),
                (Err(error), None) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// An answer that cannot be translated is answered as an internal error, and raised after the others were given.
    fn answer(&self, answers: Vec<Bound<'_, PyTuple>>) -> PyResult<()> {
        let server = self.server()?;
        let (mut ready, mut wrong) = (Vec::with_capacity(answers.len()), None);
        for each in &answers {
            match notice::answer(each) {
                Ok(answer) => ready.push(answer),
                Err(error) => {
                    ready.push((each.get_item(0)?.extract()?, notice::failed(&error)));
                    wrong = Some(error);
                }
            }
        }
        callout::answer(&server, ready);
        wrong.map_or(Ok(()), Err)
    }

    fn call(&self, calls: Vec<notice::CallParts<'_>>) -> PyResult<()> {
        let server = self.server()?;
        let calls = calls.into_iter().map(notice::call).collect();
        callout::call(&server, calls);
        Ok(())
    }

    fn cancel(&self, calls: Vec<u64>) -> PyResult<()> {
        let server = self.server()?;
        callout::cancel(&server, calls);
        Ok(())
    }

    fn update_registry(&self, py: Python<'_>, registry: &str) -> PyResult<()> {
        let server = self.server()?;
        let registry =
            serde_json::from_str(registry).map_err(|error| PyValueError::new_err(format!("registry: {error}")))?;
        py.detach(|| server.update_registry(&registry)).map_err(|errors| PyValueError::new_err(errors.join("\n")))
    }

    #[pyo3(signature = (name, fetched))]
    fn set_issuer(&self, py: Python<'_>, name: &str, fetched: Option<&str>) -> PyResult<()> {
        let server = self.server()?;
        let wrong = |error: serde_json::Error| PyValueError::new_err(format!("issuer '{name}': {error}"));
        let fetched = fetched.map(serde_json::from_str).transpose().map_err(wrong)?;
        py.detach(|| server.set_issuer(name, fetched.as_ref())).map_err(PyValueError::new_err)
    }

    fn last_used(&self, py: Python<'_>) -> PyResult<BTreeMap<String, u64>> {
        let server = self.server()?;
        Ok(py.detach(|| server.shared.last_used.times()))
    }

    #[pyo3(signature = (what, value, soft))]
    fn purge(&self, py: Python<'_>, what: &str, value: &str, soft: bool) -> PyResult<u64> {
        let server = self.server()?;
        let purge = Purge::named(what, value).ok_or_else(|| PyValueError::new_err("url, prefix, group or all"))?;
        py.detach(|| server.purge(&purge, soft)).map_err(PyValueError::new_err)
    }

    fn invalidate(&self, py: Python<'_>, groups: Vec<String>) -> PyResult<()> {
        let server = self.server()?;
        py.detach(|| server.invalidate(&groups));
        Ok(())
    }

    fn cache_level(&self, py: Python<'_>) -> PyResult<BTreeMap<&'static str, u64>> {
        let server = self.server()?;
        let level = py.detach(|| server.shared.cache.level());
        Ok(level.named().into())
    }

    fn versions(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let server = self.server()?;
        crate::inspect::json(py, &py.detach(|| server.versions()))
    }

    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        let server = self.server()?;
        Ok(py.detach(|| server.metrics()))
    }
}
