//! What a snapshot means, without serving it.

use std::net::IpAddr;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::snapshot::Snapshot;

/// The snapshot compiled, or every error; a snapshot of the wrong shape is one.
fn compile(snapshot: &str) -> Result<Program, Vec<String>> {
    let snapshot: Snapshot = serde_json::from_str(snapshot).map_err(|error| vec![format!("snapshot: {error}")])?;
    Program::compile(&snapshot, &Shared::new(1))
}

/// With what the examples of versions show.
fn compile_and_try(snapshot: &str) -> Result<Program, Vec<String>> {
    let snapshot: Snapshot = serde_json::from_str(snapshot).map_err(|error| vec![format!("snapshot: {error}")])?;
    Program::compile_and_try(&snapshot, &Shared::new(1))
}

pub(crate) fn json(py: Python<'_>, value: &serde_json::Value) -> PyResult<Py<PyAny>> {
    Ok(py.import("json")?.call_method1("loads", (value.to_string(),))?.unbind())
}

fn wrong(errors: Vec<String>) -> PyErr {
    PyValueError::new_err(errors.join("\n"))
}

#[pyfunction]
pub fn check(py: Python<'_>, snapshot: &str) -> Vec<(&'static str, String)> {
    match py.detach(|| compile_and_try(snapshot)) {
        Ok(program) => {
            let faults = program.faults.into_iter().chain(program.refusals).map(|fault| ("fault", fault));
            faults.chain(program.warnings.into_iter().map(|warning| ("warning", warning))).collect()
        }
        Err(errors) => errors.into_iter().map(|error| ("error", error)).collect(),
    }
}

#[pyfunction]
pub fn explain(
    py: Python<'_>,
    snapshot: &str,
    method: &str,
    url: &str,
    headers: Vec<(String, String)>,
    client: IpAddr,
) -> PyResult<Py<PyAny>> {
    let explained = py.detach(|| {
        compile(snapshot).map(|program| stagedoor_dataplane::explain::explain(&program, method, url, &headers, client))
    });
    json(py, &explained.map_err(wrong)?)
}

#[pyfunction]
pub fn routes(py: Python<'_>, snapshot: &str) -> PyResult<Py<PyAny>> {
    let routes = py.detach(|| compile(snapshot).map(|program| stagedoor_dataplane::explain::routes(&program)));
    json(py, &routes.map_err(wrong)?)
}

/// Takes tens of milliseconds on purpose.
#[pyfunction]
pub fn hash_password(py: Python<'_>, password: &str) -> PyResult<String> {
    py.detach(|| stagedoor_dataplane::policy::authenticate::basic::hash(password)).map_err(PyValueError::new_err)
}

#[pyfunction]
pub fn client_assertion(private_key: &str, client_id: &str, audience: &str) -> PyResult<String> {
    stagedoor_dataplane::cluster::credentials::assertion(private_key, client_id, audience)
        .map_err(PyValueError::new_err)
}

#[pyfunction]
pub fn error_kinds() -> Vec<(&'static str, u16, &'static str)> {
    Kind::ALL.iter().map(|kind| (kind.code(), kind.status(), kind.title())).collect()
}
