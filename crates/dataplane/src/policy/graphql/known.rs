//! A document that has been read: what it is, how large, what it costs.

use serde_json::Value;

use super::bounds::Bounds;
use super::rules::Rules;
use crate::error::{Error, Kind};
use crate::graphql::cost::{cost, is_fixed};
use crate::graphql::document::{Document, Refusal};
use crate::graphql::measure::Measure;
use crate::graphql::{fit, Fault};

/// What a token takes once it has been read, about.
const TOKEN: usize = 200;

pub struct Known {
    pub text: Box<str>,
    pub document: Document,
    pub measure: Measure,
    /// Of each operation, where no variable changes it.
    fixed: Option<Box<[u64]>>,
}

impl Known {
    /// A document that keeps all bounds but that of its cost, and fits the schema where that is asked for.
    pub fn new(text: &str, rules: &Rules) -> Result<Self, Error> {
        let bounds = &rules.bounds;
        let document = Document::parse(text, usize::try_from(bounds.tokens).unwrap_or(usize::MAX)).map_err(
            |refusal| match refusal {
                Refusal::Long => Bounds::exceeded("tokens", bounds.tokens),
                Refusal::Syntax(fault) => refused(Kind::GraphqlParseFailed, &[fault], text),
                Refusal::Invalid(fault) => refused(Kind::GraphqlValidationFailed, &[fault], text),
            },
        )?;
        let measure = Measure::of(&document);
        bounds.check(&measure)?;
        if let Some(schema) = rules.schema.as_ref().filter(|_| !rules.unknown) {
            let faults = fit::check(schema, &document);
            if !faults.is_empty() {
                return Err(refused(Kind::GraphqlValidationFailed, &faults, text));
            }
        }
        let price = |operation| cost(&rules.prices, rules.schema.as_deref(), &document, operation, &Value::Null);
        let fixed = is_fixed(&document).then(|| document.operations.iter().map(price).collect());
        Ok(Self { text: text.into(), document, measure, fixed })
    }

    pub fn cost(&self, rules: &Rules, operation: usize, variables: &Value) -> u64 {
        match &self.fixed {
            Some(fixed) => fixed[operation],
            None => {
                let operation = &self.document.operations[operation];
                cost(&rules.prices, rules.schema.as_deref(), &self.document, operation, variables)
            }
        }
    }

    /// What it takes to remember it.
    pub fn bytes(&self) -> usize {
        self.text.len() + TOKEN * self.document.tokens
    }
}

/// Each fault with its place, as GraphQL has it.
fn refused(kind: Kind, faults: &[Fault], text: &str) -> Error {
    let told = faults.iter().map(|fault| {
        let mut told = serde_json::json!({"message": fault.message});
        if let Some((line, column)) = fault.place(text) {
            told["locations"] = serde_json::json!([{"line": line, "column": column}]);
        }
        told
    });
    let detail = faults.first().map_or_else(String::new, |fault| fault.told(text));
    Error::new(kind, detail).errors(told.collect())
}
