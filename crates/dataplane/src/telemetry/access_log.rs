//! Log lines.

use std::sync::Arc;

pub struct Sinks {}

pub struct Sink {}

impl Sinks {
    pub fn new(_workers: usize) -> Self {
        Self {}
    }

    pub fn sink(&self, _path: &str) -> Arc<Sink> {
        Arc::new(Sink {})
    }
}
