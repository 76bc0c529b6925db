//! The boundary: translation only, no logic.

use pyo3::prelude::*;

#[pymodule]
mod _core {}
