//! What is wrong with a message, said for people: where, and what was expected; never what was sent.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::Validator;
use serde_json::{json, Value};

/// Faults of one message that are told.
pub const MOST: usize = 32;
/// Characters of a pointer, a name or a sentence that are told.
const LONGEST: usize = 300;

#[derive(Default)]
pub struct Faults {
    told: Vec<Value>,
    more: bool,
}

impl Faults {
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// `place` is path, query, header, cookie or body; `pointer` is within its value (RFC 6901).
    pub fn add(&mut self, place: &str, name: &str, pointer: &str, detail: &str) {
        if self.told.len() == MOST {
            self.more = true;
            return;
        }
        let mut fault = json!({"in": place, "pointer": cut(pointer), "detail": cut(detail)});
        if !name.is_empty() {
            fault["name"] = cut(name).into();
        }
        self.told.push(fault);
    }

    pub fn check(&mut self, place: &str, name: &str, schema: &Validator, value: &Value) {
        // Without building an error, which most messages need none of.
        if schema.is_valid(value) {
            return;
        }
        for error in schema.iter_errors(value) {
            self.add(place, name, error.instance_path().as_str(), &sentence(error.kind()));
            if self.more {
                return;
            }
        }
    }

    pub fn detail(&self, what: &str) -> String {
        match self.more {
            true => format!("{what}; the first {MOST} faults are told"),
            false => what.to_owned(),
        }
    }

    /// For the log, which may hold no more of a message than its sender may see.
    pub fn summary(&self) -> String {
        let text = |fault: &Value, key: &str| fault[key].as_str().unwrap_or_default().to_owned();
        let first = self.told.iter().take(3).map(|fault| {
            [text(fault, "in"), text(fault, "name"), text(fault, "pointer"), text(fault, "detail")]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        });
        first.collect::<Vec<_>>().join("; ")
    }

    pub fn into_told(self) -> Vec<Value> {
        self.told
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

pub fn sentence(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Is;
    match kind {
        Is::Type { kind: TypeKind::Single(one) } => format!("must be of the type {one}"),
        Is::Type { kind: TypeKind::Multiple(several) } => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            format!("must be of one of the types {}", names.join(", "))
        }
        Is::Required { property } => format!("needs the member {property}"),
        Is::AdditionalProperties { unexpected } | Is::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().take(8).map(|name| format!("\"{name}\"")).collect();
            format!("has members that are not known: {}", names.join(", "))
        }
        Is::Enum { options } => format!("must be one of {options}"),
        Is::Constant { expected_value } => format!("must be {expected_value}"),
        Is::Minimum { limit } => format!("must be at least {limit}"),
        Is::Maximum { limit } => format!("must be at most {limit}"),
        Is::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Is::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Is::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Is::MinLength { limit } => format!("must have at least {limit} characters"),
        Is::MaxLength { limit } => format!("must have at most {limit} characters"),
        Is::MinItems { limit } => format!("must have at least {limit} items"),
        Is::MaxItems { limit } => format!("must have at most {limit} items"),
        Is::MinProperties { limit } => format!("must have at least {limit} members"),
        Is::MaxProperties { limit } => format!("must have at most {limit} members"),
        Is::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Is::UnevaluatedItems { .. } => "has items that are not known".to_owned(),
        Is::UniqueItems => "has an item twice".to_owned(),
        Is::Contains => "does not have the items that it needs".to_owned(),
        Is::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Is::Format { format } => format!("must be of the format {format}"),
        Is::AnyOf { .. } => "matches none of the forms that are allowed".to_owned(),
        Is::OneOfNotValid { .. } => "matches none of the forms of which it must match one".to_owned(),
        Is::OneOfMultipleValid { .. } => "matches several forms of which it must match one".to_owned(),
        Is::Not { .. } => "matches a form that is not allowed".to_owned(),
        Is::FalseSchema => "must not be given here".to_owned(),
        Is::PropertyNames { .. } => "has a member whose name is not allowed".to_owned(),
        other => format!("does not hold to '{}'", other.keyword()),
    }
}
