//! Schemas of a description → validators of JSON Schema 2020-12. Each brings along what it refers to, and nothing is ever
//! fetched.

use std::collections::HashMap;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use jsonschema::{Draft, PatternOptions, ValidationOptions, Validator};
use serde_json::{json, Map, Value};

use super::document::{pointer, Dialect, Document};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// Bytes of a pattern's machine; larger patterns are an error of the configuration.
const PATTERN: usize = 1 << 20;
/// Levels of a schema within each other.
const DEPTH: usize = 64;
/// Levels of `allOf` and references that are looked through for members that must not be sent.
const BRANCHES: usize = 8;

/// The validator of a schema that stands alone, in the draft that it names; 2020-12 where it names none.
pub fn alone(schema: &Value) -> Result<Validator, String> {
    build(options(), schema).map_err(|(place, error)| format!("#{place}: {error}"))
}

fn options() -> ValidationOptions<'static> {
    jsonschema::options().should_validate_formats(true).offline()
}

/// An error is a place within the schema, and what is wrong there.
fn build(options: ValidationOptions<'static>, schema: &Value) -> Result<Validator, (String, String)> {
    // A machine that never goes back: no pattern makes a request expensive.
    let patterns = PatternOptions::regex().size_limit(PATTERN).dfa_size_limit(PATTERN);
    let options =
        options.with_pattern_options(patterns).with_format("byte", |text: &str| STANDARD.decode(text).is_ok());
    options.build(schema).map_err(|error| {
        let message = match (error.kind().keyword(), error.instance().as_str()) {
            ("format", Some(pattern)) => {
                format!("the pattern {pattern} cannot be matched in linear time, or is none")
            }
            _ => format!("it is not a valid schema: {error}"),
        };
        (error.instance_path().as_str().to_owned(), message)
    })
}

pub struct Schemas<'d> {
    document: &'d Document<'d>,
    direction: Direction,
}

/// Schemas by their pointers, on the way into one validator.
struct Gathering {
    names: HashMap<String, usize>,
    waiting: Vec<(usize, String)>,
}

impl Gathering {
    fn reference(&mut self, pointer: String) -> Value {
        let next = self.names.len();
        let index = *self.names.entry(pointer.clone()).or_insert(next);
        if index == next {
            self.waiting.push((index, pointer));
        }
        json!({"$ref": format!("#/$defs/{index}")})
    }
}

impl<'d> Schemas<'d> {
    pub fn new(document: &'d Document<'d>, direction: Direction) -> Self {
        Self { document, direction }
    }

    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The validator of what stands at `place`, a JSON Pointer.
    pub fn compile(&self, place: &str) -> Result<Validator, String> {
        let mut gathering = Gathering { names: HashMap::new(), waiting: Vec::new() };
        let mut root = gathering.reference(place.to_owned());
        let mut definitions = Map::new();
        while let Some((index, place)) = gathering.waiting.pop() {
            let schema = self.document.root.pointer(&place).ok_or_else(|| format!("{place}: there is nothing"))?;
            let schema =
                self.convert(schema, &[], DEPTH, &mut gathering).map_err(|error| format!("{place}: {error}"))?;
            definitions.insert(index.to_string(), schema);
        }
        root["$defs"] = Value::Object(definitions);
        build(options().with_draft(Draft::Draft202012), &root).map_err(|(at, error)| {
            // Back to where it stands in the document.
            let mut steps = at.trim_start_matches("/$defs/").splitn(2, '/');
            let index = steps.next().and_then(|index| index.parse::<usize>().ok());
            let origin = gathering.names.iter().find(|(_, name)| Some(**name) == index);
            let origin = origin.map_or(place, |(origin, _)| origin.as_str());
            format!("{origin}/{}: {error}", steps.next().unwrap_or_default())
        })
    }

    /// `withheld`: members that must not be sent in this direction, by the word of a schema beside this one.
    fn convert(
        &self,
        schema: &Value,
        withheld: &[String],
        depth: usize,
        gathering: &mut Gathering,
    ) -> Result<Value, String> {
        let Value::Object(from) = schema else {
            return match schema {
                Value::Bool(_) => Ok(schema.clone()),
                _ => Err("a schema is an object, true or false".into()),
            };
        };
        let Some(depth) = depth.checked_sub(1) else { return Err(format!("it is deeper than {DEPTH} levels")) };
        let old = self.document.dialect == Dialect::OpenApi30;
        let mut to = Map::new();
        if let Some(reference) = from.get("$ref") {
            let reference = reference.as_str().ok_or("'$ref' is not text")?;
            self.document.at(reference)?;
            to.insert("$ref".into(), gathering.reference(pointer(reference)?)["$ref"].take());
            // OpenAPI 3.0 §4.7.23: what stands beside a reference is ignored.
            if old {
                return Ok(Value::Object(to));
            }
        }
        let mut withheld = withheld.to_vec();
        self.withheld(schema, BRANCHES, &mut withheld);
        for (key, value) in from {
            let converted = match key.as_str() {
                "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" if !old => {
                    return Err(format!("'{key}' is not supported in OpenAPI documents; refer by JSON Pointer"))
                }
                "properties" | "patternProperties" | "dependentSchemas" => {
                    let schemas = value.as_object().ok_or_else(|| format!("'{key}' is not an object"))?;
                    let convert = |(name, schema): (&String, &Value)| {
                        let held = key == "properties" && withheld.contains(name);
                        let schema = if held { false.into() } else { self.convert(schema, &[], depth, gathering)? };
                        Ok((name.clone(), schema))
                    };
                    Value::Object(schemas.iter().map(convert).collect::<Result<_, String>>()?)
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    let schemas = value.as_array().ok_or_else(|| format!("'{key}' is not a list"))?;
                    let beside: &[String] = if key == "prefixItems" { &[] } else { &withheld };
                    let convert = |schema| self.convert(schema, beside, depth, gathering);
                    Value::Array(schemas.iter().map(convert).collect::<Result<_, String>>()?)
                }
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties" => self.convert(value, &[], depth, gathering)?,
                "required" => {
                    let names = value.as_array().ok_or("'required' is not a list")?.iter();
                    let sent = |name: &&Value| !withheld.iter().any(|each| **name == each.as_str());
                    Value::Array(names.filter(sent).cloned().collect())
                }
                // Annotations, and what has been followed.
                "$ref" | "$schema" | "$comment" | "$defs" | "definitions" | "title" | "description" | "default"
                | "example" | "examples" | "discriminator" | "xml" | "externalDocs" | "deprecated" | "readOnly"
                | "writeOnly" | "nullable" => continue,
                _ => value.clone(),
            };
            to.insert(key.clone(), converted);
        }
        if old {
            modernise(from, &mut to);
        }
        integer_range(&mut to);
        Ok(Value::Object(to))
    }

    /// Members of an object that must not be sent in this direction: `readOnly` in a request, `writeOnly` in a response.
    fn withheld(&self, schema: &Value, depth: usize, names: &mut Vec<String>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if self.is_withheld(member) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        let branches = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|to| self.document.at(to).ok());
        branches.chain(target).for_each(|branch| self.withheld(branch, depth, names));
    }

    fn is_withheld(&self, member: &Value) -> bool {
        let key = match self.direction {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        };
        let marked = |schema: &Value| schema.get(key) == Some(&Value::Bool(true));
        marked(member) || self.document.follow(member, "").is_ok_and(|(schema, _)| marked(schema))
    }
}

/// The dialect of OpenAPI 3.0 (§4.7.24): `nullable`, and exclusive bounds as booleans.
fn modernise(from: &Map<String, Value>, to: &mut Map<String, Value>) {
    if from.get("nullable") == Some(&Value::Bool(true)) {
        if let Some(one @ Value::String(_)) = from.get("type") {
            to.insert("type".into(), json!([one, "null"]));
        }
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        let Some(Value::Bool(is_exclusive)) = from.get(exclusive) else { continue };
        to.remove(exclusive);
        if let Some(limit) = to.remove(bound) {
            to.insert((if *is_exclusive { exclusive } else { bound }).into(), limit);
        }
    }
}

/// `int32` and `int64` are formats of numbers, which JSON Schema does not check.
fn integer_range(to: &mut Map<String, Value>) {
    let range = match to.get("format").and_then(Value::as_str) {
        Some("int32") => json!({"minimum": i32::MIN, "maximum": i32::MAX}),
        Some("int64") => json!({"minimum": i64::MIN, "maximum": i64::MAX}),
        _ => return,
    };
    if let Value::Array(all) = to.entry("allOf").or_insert_with(|| json!([])) {
        all.push(range);
    }
}
