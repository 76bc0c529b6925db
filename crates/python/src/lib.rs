//! The boundary: translation only, no logic.

use pyo3::prelude::*;

mod expression;
mod inspect;
mod value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::expression::{Expression, ExpressionError};
    #[pymodule_export]
    use super::inspect::{check, error_kinds, explain, routes};
}
