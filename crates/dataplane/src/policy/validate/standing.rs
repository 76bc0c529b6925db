//! A schema that stands alone, for data that is no message: what workflows take in and give.

use jsonschema::Validator;
use serde_json::Value;

use super::fault::{sentence, MOST};
use super::schema::alone;

pub struct Standing(Validator);

impl Standing {
    /// In the draft that it names, 2020-12 where it names none; the error says where it is wrong.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        alone(schema).map(Self)
    }

    /// Where `value` does not fit, as JSON Pointers, and what was expected there; at most 32. Never what was found.
    pub fn faults(&self, value: &Value) -> Vec<(String, String)> {
        if self.0.is_valid(value) {
            return Vec::new();
        }
        let errors = self.0.iter_errors(value).take(MOST);
        errors.map(|error| (error.instance_path().as_str().to_owned(), sentence(error.kind()))).collect()
    }
}
