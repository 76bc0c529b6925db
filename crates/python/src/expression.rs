//! jq programs.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use stagedoor_expression::Step;

use crate::value;

create_exception!(
    stagedoor._core,
    ExpressionError,
    PyException,
    "An expression is wrong, failed, or went over its bound."
);

fn wrong(error: stagedoor_expression::Error) -> PyErr {
    ExpressionError::new_err(error.to_string())
}

/// Fields by name, None for every item of a list.
#[pyfunction]
pub fn reads(source: &str) -> Vec<Vec<Option<String>>> {
    let name = |step| match step {
        Step::Field(name) => Some(name),
        Step::Item => None,
    };
    stagedoor_expression::reads(source).into_iter().map(|way| way.into_iter().map(name).collect()).collect()
}

#[pyclass(frozen, module = "stagedoor._core")]
pub struct Expression(stagedoor_expression::Expression);

#[pymethods]
impl Expression {
    #[new]
    #[pyo3(signature = (source, variables = Vec::new()))]
    fn new(py: Python<'_>, source: &str, variables: Vec<String>) -> PyResult<Self> {
        let names: Vec<&str> = variables.iter().map(String::as_str).collect();
        py.detach(|| stagedoor_expression::Expression::compile(source, &names)).map(Self).map_err(wrong)
    }

    #[getter]
    fn source(&self) -> &str {
        self.0.source()
    }

    #[pyo3(signature = (input, variables = Vec::new(), now = None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        input: &Bound<'py, PyAny>,
        variables: Vec<Bound<'py, PyAny>>,
        now: Option<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let input = value::from_python(input)?;
        let variables = variables.iter().map(value::from_python).collect::<PyResult<Vec<_>>>()?;
        // Most evaluations take microseconds; those that do not must not hold up other threads.
        let outcome = match self.0.try_first(&input, &variables, now) {
            Some(outcome) => outcome,
            None => py.detach(|| self.0.evaluate(&input, &variables, now)),
        };
        value::to_python(py, &outcome.map_err(wrong)?)
    }

    fn __repr__(&self) -> String {
        format!("Expression({:?})", self.0.source())
    }
}
