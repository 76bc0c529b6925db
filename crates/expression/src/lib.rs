//! jq, compiled once, evaluated within a bound.
