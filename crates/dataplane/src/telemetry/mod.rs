//! What is told about exchanges: a log line, metrics, and the trace they belong to.

pub mod access_log;
pub mod hex;
pub mod metrics;
pub mod trace;
