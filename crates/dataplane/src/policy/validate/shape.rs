//! What a schema lets a text become: parameters and forms are text, and schemas speak of numbers, lists and objects.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use super::document::Document;

/// Lists and objects of a parameter within each other; styles do not define more than one level.
const DEPTH: usize = 4;
/// References and combinations followed for one shape.
const STEPS: usize = 256;

#[derive(Debug, Default)]
pub struct Shape {
    string: bool,
    number: bool,
    boolean: bool,
    null: bool,
    items: Option<Box<Shape>>,
    object: Option<Object>,
}

#[derive(Debug, Default)]
pub struct Object {
    properties: BTreeMap<String, Shape>,
    /// Of members that no property names; None where a schema says nothing of them.
    additional: Option<Box<Shape>>,
}

pub enum Form<'a> {
    Scalar,
    List(&'a Shape),
    Object(&'a Object),
}

impl Shape {
    pub fn new(document: &Document<'_>, schema: &Value) -> Self {
        let mut shape = Self::default();
        shape.widen(document, schema, DEPTH, &mut 0);
        shape
    }

    fn widen(&mut self, document: &Document<'_>, schema: &Value, depth: usize, steps: &mut usize) {
        *steps += 1;
        if *steps > STEPS || depth == 0 {
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|to| document.at(to).ok()) {
            self.widen(document, target, depth, steps);
        }
        for branch in ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
            self.widen(document, branch, depth, steps);
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for each in &types {
            self.add(each);
        }
        if types.is_empty() {
            let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten().chain(schema.get("const"));
            for value in values {
                self.add(match value {
                    Value::Number(_) => "number",
                    Value::Bool(_) => "boolean",
                    Value::Null => "null",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                    Value::String(_) => "string",
                });
            }
        }
        self.null |= schema.get("nullable") == Some(&Value::Bool(true));
        if let (Some(items), Some(schema)) = (&mut self.items, schema.get("items")) {
            items.widen(document, schema, depth - 1, steps);
        }
        if let Some(object) = &mut self.object {
            for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                object.properties.entry(name.clone()).or_default().widen(document, schema, depth - 1, steps);
            }
            if let Some(schema) = schema.get("additionalProperties").filter(|schema| **schema != Value::Bool(false)) {
                object.additional.get_or_insert_default().widen(document, schema, depth - 1, steps);
            }
        }
    }

    fn add(&mut self, name: &str) {
        match name {
            "string" => self.string = true,
            "number" | "integer" => self.number = true,
            "boolean" => self.boolean = true,
            "null" => self.null = true,
            "array" => drop(self.items.get_or_insert_default()),
            "object" => drop(self.object.get_or_insert_default()),
            _ => {}
        }
    }

    /// A list or an object only where it can be nothing else.
    pub fn form(&self) -> Form<'_> {
        match (&self.items, &self.object) {
            _ if self.string || self.number || self.boolean => Form::Scalar,
            (Some(items), None) => Form::List(items),
            (_, Some(object)) => Form::Object(object),
            (None, None) => Form::Scalar,
        }
    }

    /// The text as what it looks like among what the schema takes; otherwise it stays text, and the schema refuses it.
    pub fn value(&self, text: String) -> Value {
        match text.as_str() {
            "true" if self.boolean => Value::Bool(true),
            "false" if self.boolean => Value::Bool(false),
            "" | "null" if self.null && !self.string => Value::Null,
            number if self.number => match number.parse::<Number>() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::String(text),
            },
            _ => Value::String(text),
        }
    }
}

impl Object {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }

    pub fn is_open(&self) -> bool {
        self.additional.is_some()
    }

    pub fn member(&self, name: &str) -> Option<&Shape> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}
