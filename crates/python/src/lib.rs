//! The boundary: translation only, no logic.

use pyo3::prelude::*;

mod inspect;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::inspect::{check, error_kinds, explain, routes};
}
