//! What is wrong between routes: two that could both answer, and one that never can.

use super::RouteTable;
use crate::program::Report;

pub fn examine(_table: &RouteTable, _report: &mut Report) {}
