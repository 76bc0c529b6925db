//! The boundary: translation only, no logic.

use pyo3::prelude::*;

mod data_plane;
mod expression;
mod grpc;
mod inspect;
mod notice;
mod schema;
mod value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::data_plane::DataPlane;
    #[pymodule_export]
    use super::expression::{reads, Expression, ExpressionError};
    #[pymodule_export]
    use super::grpc::GrpcMethod;
    #[pymodule_export]
    use super::inspect::{check, client_assertion, error_kinds, explain, hash_password, routes};
    #[pymodule_export]
    use super::notice::{
        Abandoned, Answered, CallerToken, Execute, KeysWanted, ReceiveEvents, ShowExecution, Trouble, Unanswered,
    };
    #[pymodule_export]
    use super::schema::Schema;
}
