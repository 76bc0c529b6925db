//! JSON Schemas of workflows.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stagedoor_dataplane::policy::validate::Standing;
use stagedoor_expression::json;

use crate::value;

#[pyclass(frozen, module = "stagedoor._core")]
pub struct Schema(Standing);

#[pymethods]
impl Schema {
    #[new]
    fn new(py: Python<'_>, schema: &str) -> PyResult<Self> {
        let wrong = |error: String| PyValueError::new_err(error);
        py.detach(|| {
            let schema = serde_json::from_str(schema).map_err(|error| error.to_string())?;
            Standing::compile(&schema)
        })
        .map(Self)
        .map_err(wrong)
    }

    fn faults(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
        let value = value::from_python(value)?;
        py.detach(|| {
            let value = serde_json::from_slice(&json::write(&value)).map_err(|error| error.to_string())?;
            Ok(self.0.faults(&value))
        })
        .map_err(|error: String| PyValueError::new_err(error))
    }
}
