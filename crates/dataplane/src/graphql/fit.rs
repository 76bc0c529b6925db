//! Whether a document fits a schema (GraphQL §5), as far as that can be said of each part by itself: fields, arguments,
//! types, leaves, literals. Whether fields can be merged is left to the service.

use super::document::{Document, Field, Operation, Selection};
use super::measure::is_introspection;
use super::schema::{Input, Schema, Shape, Type, SCALARS};
use super::value::{TypeRef, Value};
use super::Fault;

/// Faults of one document that are told.
pub const MOST: usize = 16;

/// Everything wrong with it, `MOST` at most.
pub fn check(schema: &Schema, document: &Document) -> Vec<Fault> {
    let mut check = Check { schema, faults: Vec::new() };
    for operation in &document.operations {
        check.operation(operation);
    }
    for fragment in &document.fragments {
        if let Some(on) = check.condition(&fragment.on, fragment.at) {
            check.set(&fragment.selections, on);
        }
    }
    check.faults.truncate(MOST);
    check.faults
}

struct Check<'a> {
    schema: &'a Schema,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn wrong(&mut self, message: String, at: usize) {
        if self.faults.len() < MOST {
            self.faults.push(Fault::new(message).at(at));
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let kind = operation.kind.as_str();
        for variable in &operation.variables {
            match self.schema.get(variable.ty.name()) {
                Some(ty) if ty.is_input() => {
                    if let Some(default) = &variable.default {
                        self.value(default, &variable.ty, &format!("${}", variable.name), 0);
                    }
                }
                Some(_) => {
                    self.faults.push(Fault::new(format!("${} cannot be of the type {}", variable.name, variable.ty)))
                }
                None => self.faults.push(Fault::new(format!("There is no type {}", variable.ty.name()))),
            }
        }
        match self.schema.root(operation.kind) {
            Some(root) => self.set(&operation.selections, root),
            None => self.faults.push(Fault::new(format!("There is no {kind} in the schema"))),
        }
    }

    fn condition(&mut self, name: &str, at: usize) -> Option<&'a Type> {
        match self.schema.get(name) {
            Some(ty) if ty.is_composite() => return Some(ty),
            Some(_) => self.wrong(format!("A fragment cannot be on {name}"), at),
            // A type of introspection.
            None if name.starts_with("__") => {}
            None => self.wrong(format!("There is no type {name}"), at),
        }
        None
    }

    fn set(&mut self, selections: &[Selection], on: &'a Type) {
        for selection in selections {
            match selection {
                Selection::Spread { .. } => {}
                Selection::Inline { on: None, selections, .. } => self.set(selections, on),
                Selection::Inline { on: Some(condition), selections, at, .. } => {
                    if let Some(on) = self.condition(condition, *at) {
                        self.set(selections, on);
                    }
                }
                Selection::Field(field) => self.field(field, on),
            }
        }
    }

    fn field(&mut self, field: &Field, on: &'a Type) {
        let Some(known) = on.fields.get(&field.name) else {
            // Introspection is not part of the schema that it tells of.
            if *field.name != *"__typename" && !is_introspection(&field.name) {
                self.wrong(format!("{} has no field {}", on.name, field.name), field.at);
            }
            return;
        };
        let whole = format!("{}.{}", on.name, field.name);
        self.arguments(&field.arguments, &known.arguments, &whole, field.at);
        let Some(of) = self.schema.get(known.ty.name()) else { return };
        match (of.is_composite(), field.selections.is_empty()) {
            (true, true) => self.wrong(format!("{whole} needs a selection of fields"), field.at),
            (false, false) => self.wrong(format!("{whole} has no fields to select"), field.at),
            (true, false) => self.set(&field.selections, of),
            (false, true) => {}
        }
    }

    fn arguments(&mut self, given: &[(Box<str>, Value)], known: &[Input], whole: &str, at: usize) {
        for (name, value) in given {
            match known.iter().find(|input| input.name == *name) {
                Some(input) => self.value(value, &input.ty, &format!("{whole}({name}:)"), at),
                None => self.wrong(format!("{whole} has no argument {name}"), at),
            }
        }
        for input in known.iter().filter(|input| input.must_be_given()) {
            if !given.iter().any(|(name, _)| *name == input.name) {
                self.wrong(format!("{whole} needs the argument {}", input.name), at);
            }
        }
    }

    /// Literals; variables are the service's to convert.
    fn value(&mut self, value: &Value, ty: &TypeRef, whole: &str, at: usize) {
        match (value, ty) {
            (Value::Variable(_), _) => {}
            (Value::Null, TypeRef::NonNull(_)) => self.wrong(format!("{whole} must not be null"), at),
            (Value::Null, _) => {}
            (value, TypeRef::NonNull(inner)) => self.value(value, inner, whole, at),
            (Value::List(items), TypeRef::List(inner)) => {
                items.iter().for_each(|item| self.value(item, inner, whole, at));
            }
            // One value stands for a list of it (§3.11).
            (value, TypeRef::List(inner)) => self.value(value, inner, whole, at),
            (value, TypeRef::Named(name)) => {
                let Some(ty) = self.schema.get(name) else { return };
                let fits = match (ty.shape, value) {
                    (Shape::Input, Value::Object(members)) => {
                        self.arguments(members, &ty.inputs, &format!("{whole} {name}"), at);
                        true
                    }
                    (Shape::Enum, Value::Enum(word)) => ty.values.contains(word),
                    (Shape::Scalar, value) => fits(name, value),
                    _ => false,
                };
                if !fits {
                    self.wrong(format!("{whole} must be of the type {name}"), at);
                }
            }
        }
    }
}

/// What a scalar takes; those that GraphQL does not define take anything.
fn fits(scalar: &str, value: &Value) -> bool {
    match (scalar, value) {
        ("Int", Value::Int(number)) => i32::try_from(*number).is_ok(),
        ("Float", Value::Int(_) | Value::Float(_)) | ("String" | "ID", Value::String(_)) => true,
        ("ID", Value::Int(_)) | ("Boolean", Value::Boolean) => true,
        (scalar, _) => !SCALARS.contains(&scalar),
    }
}
