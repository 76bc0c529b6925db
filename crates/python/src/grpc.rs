//! Unary methods of gRPC, for calls of workflows.

use std::collections::BTreeMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stagedoor_dataplane::policy::translate::rpc::Rpc;

/// One unary method; immutable.
#[pyclass(frozen, module = "stagedoor._core")]
pub struct GrpcMethod(Rpc);

#[pymethods]
impl GrpcMethod {
    #[staticmethod]
    fn of_sources(
        py: Python<'_>,
        sources: BTreeMap<String, String>,
        main: &str,
        service: &str,
        method: &str,
    ) -> PyResult<Self> {
        py.detach(|| Rpc::of_sources(&sources, main, service, method)).map(Self).map_err(PyValueError::new_err)
    }

    #[staticmethod]
    fn of_set(set: &[u8], service: &str, method: &str) -> PyResult<Self> {
        Rpc::of_set(set, service, method).map(Self).map_err(PyValueError::new_err)
    }

    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    fn encode<'py>(&self, py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyBytes>> {
        let message = self.0.encode(json.as_bytes()).map_err(PyValueError::new_err)?;
        Ok(PyBytes::new(py, &message))
    }

    fn decode(&self, message: &[u8]) -> PyResult<String> {
        let json = self.0.decode(message).map_err(PyValueError::new_err)?;
        String::from_utf8(json).map_err(|error| PyValueError::new_err(error.to_string()))
    }
}
