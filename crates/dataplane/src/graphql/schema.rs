//! A schema: types with their fields, from the schema definition language. Extensions of types are part of them.
//!
//! `@cost(weight:)` of fields and types and `@listSize(assumedSize:, slicingArguments:)` of fields are read as the GraphQL
//! Cost Directives specification has them.

use apollo_parser::cst::{self, CstNode, Definition};
use rustc_hash::{FxHashMap, FxHashSet};

use super::cost::{path, Path};
use super::document::Kind;
use super::lower::{arguments, name, place, tree, type_ref, value};
use super::value::{TypeRef, Value};
use super::Fault;

pub const SCALARS: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

#[derive(Debug)]
pub struct Schema {
    types: FxHashMap<Box<str>, Type>,
    roots: [Option<Box<str>>; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Scalar,
    Enum,
    Object,
    Interface,
    Union,
    Input,
}

#[derive(Debug)]
pub struct Type {
    pub name: Box<str>,
    pub shape: Shape,
    /// Of objects and interfaces.
    pub fields: FxHashMap<Box<str>, Field>,
    /// Of input objects.
    pub inputs: Vec<Input>,
    /// Of enumerations.
    pub values: FxHashSet<Box<str>>,
    /// What one of it costs.
    pub price: Option<u64>,
}

#[derive(Debug)]
pub struct Field {
    pub ty: TypeRef,
    pub arguments: Vec<Input>,
    pub price: Option<u64>,
    pub lengths: Option<Lengths>,
}

#[derive(Debug)]
pub struct Input {
    pub name: Box<str>,
    pub ty: TypeRef,
    pub default: Option<Value>,
}

impl Input {
    pub fn must_be_given(&self) -> bool {
        self.ty.is_required() && self.default.is_none()
    }
}

/// What a field says of how long its list is.
#[derive(Debug)]
pub struct Lengths {
    pub arguments: Vec<Path>,
    pub assumed: Option<u64>,
}

impl Type {
    pub fn is_composite(&self) -> bool {
        matches!(self.shape, Shape::Object | Shape::Interface | Shape::Union)
    }

    pub fn is_input(&self) -> bool {
        matches!(self.shape, Shape::Scalar | Shape::Enum | Shape::Input)
    }
}

pub fn default_root(kind: Kind) -> &'static str {
    match kind {
        Kind::Query => "Query",
        Kind::Mutation => "Mutation",
        Kind::Subscription => "Subscription",
    }
}

impl Schema {
    /// Every fault, with its place in the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let tree = tree(text).map_err(|fault| vec![fault])?;
        let mut reading = Reading::default();
        for scalar in SCALARS {
            reading.types.insert(scalar.into(), new(scalar, Shape::Scalar));
        }
        for extending in [false, true] {
            for definition in tree.definitions() {
                if definition.is_extension_definition() == extending {
                    if let Err(fault) = reading.definition(&definition) {
                        reading.faults.push(fault);
                    }
                }
            }
        }
        reading.finish()
    }

    pub fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    pub fn root(&self, kind: Kind) -> Option<&Type> {
        self.get(self.root_name(kind)?)
    }

    pub fn root_name(&self, kind: Kind) -> Option<&str> {
        self.roots[kind as usize].as_deref()
    }

    /// Whether there is such a `Type.field`, or a `field` on some type.
    pub fn has(&self, field: &str) -> bool {
        match field.split_once('.') {
            Some((owner, field)) => self.get(owner).is_some_and(|owner| owner.fields.contains_key(field)),
            None => self.types.values().any(|owner| owner.fields.contains_key(field)),
        }
    }
}

#[derive(Default)]
struct Reading {
    types: FxHashMap<Box<str>, Type>,
    roots: Option<[Option<Box<str>>; 3]>,
    faults: Vec<Fault>,
    /// Names of types that are used, and where.
    used: Vec<(Box<str>, usize)>,
}

fn new(name: &str, shape: Shape) -> Type {
    Type {
        name: name.into(),
        shape,
        fields: FxHashMap::default(),
        inputs: Vec::new(),
        values: FxHashSet::default(),
        price: None,
    }
}

impl Reading {
    fn definition(&mut self, definition: &Definition) -> Result<(), Fault> {
        let at = place(definition.syntax());
        match definition {
            Definition::OperationDefinition(_) | Definition::FragmentDefinition(_) => {
                Err(Fault::new("It is part of a document, not of a schema").at(at))
            }
            Definition::DirectiveDefinition(_) => Ok(()),
            Definition::SchemaDefinition(schema) => self.roots(schema.root_operation_type_definitions(), at),
            Definition::SchemaExtension(schema) => self.roots(schema.root_operation_type_definitions(), at),
            Definition::ScalarTypeDefinition(node) => {
                self.open(node.name(), Shape::Scalar, node.directives(), at).map(drop)
            }
            Definition::ScalarTypeExtension(node) => self.reopen(node.name(), Shape::Scalar, at).map(drop),
            Definition::ObjectTypeDefinition(node) => {
                let name = self.open(node.name(), Shape::Object, node.directives(), at)?;
                self.fields(&name, node.fields_definition())
            }
            Definition::ObjectTypeExtension(node) => {
                let name = self.reopen(node.name(), Shape::Object, at)?;
                self.fields(&name, node.fields_definition())
            }
            Definition::InterfaceTypeDefinition(node) => {
                let name = self.open(node.name(), Shape::Interface, node.directives(), at)?;
                self.fields(&name, node.fields_definition())
            }
            Definition::InterfaceTypeExtension(node) => {
                let name = self.reopen(node.name(), Shape::Interface, at)?;
                self.fields(&name, node.fields_definition())
            }
            Definition::UnionTypeDefinition(node) => {
                self.open(node.name(), Shape::Union, node.directives(), at)?;
                self.members(node.union_member_types())
            }
            Definition::UnionTypeExtension(node) => {
                self.reopen(node.name(), Shape::Union, at)?;
                self.members(node.union_member_types())
            }
            Definition::EnumTypeDefinition(node) => {
                let name = self.open(node.name(), Shape::Enum, node.directives(), at)?;
                self.values(&name, node.enum_values_definition())
            }
            Definition::EnumTypeExtension(node) => {
                let name = self.reopen(node.name(), Shape::Enum, at)?;
                self.values(&name, node.enum_values_definition())
            }
            Definition::InputObjectTypeDefinition(node) => {
                let name = self.open(node.name(), Shape::Input, node.directives(), at)?;
                self.inputs(&name, node.input_fields_definition())
            }
            Definition::InputObjectTypeExtension(node) => {
                let name = self.reopen(node.name(), Shape::Input, at)?;
                self.inputs(&name, node.input_fields_definition())
            }
        }
    }

    fn roots(&mut self, nodes: impl Iterator<Item = cst::RootOperationTypeDefinition>, at: usize) -> Result<(), Fault> {
        let mut roots = self.roots.take().unwrap_or_default();
        for node in nodes {
            let kind = match node.operation_type() {
                Some(kind) if kind.mutation_token().is_some() => Kind::Mutation,
                Some(kind) if kind.subscription_token().is_some() => Kind::Subscription,
                _ => Kind::Query,
            };
            let root = name(node.named_type().and_then(|node| node.name()), at)?;
            self.used.push((root.clone(), at));
            roots[kind as usize] = Some(root);
        }
        self.roots = Some(roots);
        Ok(())
    }

    fn open(
        &mut self,
        node: Option<cst::Name>,
        shape: Shape,
        directives: Option<cst::Directives>,
        at: usize,
    ) -> Result<Box<str>, Fault> {
        let name = name(node, at)?;
        let mut opened = new(&name, shape);
        opened.price = price(directives.as_ref(), at)?;
        if self.types.insert(name.clone(), opened).is_some() && !SCALARS.contains(&&*name) {
            return Err(Fault::new(format!("The type {name} is there twice")).at(at));
        }
        Ok(name)
    }

    /// What is extended may be defined elsewhere, as in a part of a federation.
    fn reopen(&mut self, node: Option<cst::Name>, shape: Shape, at: usize) -> Result<Box<str>, Fault> {
        let name = name(node, at)?;
        match self.types.entry(name.clone()).or_insert_with(|| new(&name, shape)).shape == shape {
            true => Ok(name),
            false => Err(Fault::new(format!("The type {name} is extended as what it is not")).at(at)),
        }
    }

    fn fields(&mut self, owner: &str, node: Option<cst::FieldsDefinition>) -> Result<(), Fault> {
        for node in node.iter().flat_map(cst::FieldsDefinition::field_definitions) {
            if let Err(fault) = self.field(owner, &node) {
                self.faults.push(fault);
            }
        }
        Ok(())
    }

    fn field(&mut self, owner: &str, node: &cst::FieldDefinition) -> Result<(), Fault> {
        let at = place(node.syntax());
        let field = name(node.name(), at)?;
        let ty = type_ref(&node.ty().ok_or_else(|| Fault::new("A field has no type").at(at))?)?;
        self.used.push((ty.name().into(), at));
        let definition = node.arguments_definition();
        let inputs = definition.iter().flat_map(cst::ArgumentsDefinition::input_value_definitions);
        let inputs = inputs.map(|node| self.input(&node)).collect::<Result<Vec<_>, _>>()?;
        let directives = node.directives();
        let (price, lengths) = (price(directives.as_ref(), at)?, lengths(directives.as_ref(), &inputs, at)?);
        let new = Field { ty, arguments: inputs, price, lengths };
        match self.types.get_mut(owner).and_then(|owner| owner.fields.insert(field.clone(), new)) {
            None => Ok(()),
            Some(_) => Err(Fault::new(format!("The field {owner}.{field} is there twice")).at(at)),
        }
    }

    fn inputs(&mut self, owner: &str, node: Option<cst::InputFieldsDefinition>) -> Result<(), Fault> {
        for node in node.iter().flat_map(cst::InputFieldsDefinition::input_value_definitions) {
            let input = self.input(&node)?;
            if let Some(owner) = self.types.get_mut(owner) {
                owner.inputs.push(input);
            }
        }
        Ok(())
    }

    fn input(&mut self, node: &cst::InputValueDefinition) -> Result<Input, Fault> {
        let at = place(node.syntax());
        let ty = type_ref(&node.ty().ok_or_else(|| Fault::new("An argument has no type").at(at))?)?;
        self.used.push((ty.name().into(), at));
        let default = node.default_value().and_then(|default| default.value()).map(|node| value(&node)).transpose()?;
        Ok(Input { name: name(node.name(), at)?, ty, default })
    }

    fn members(&mut self, node: Option<cst::UnionMemberTypes>) -> Result<(), Fault> {
        for node in node.iter().flat_map(cst::UnionMemberTypes::named_types) {
            let at = place(node.syntax());
            self.used.push((name(node.name(), at)?, at));
        }
        Ok(())
    }

    fn values(&mut self, owner: &str, node: Option<cst::EnumValuesDefinition>) -> Result<(), Fault> {
        for node in node.iter().flat_map(cst::EnumValuesDefinition::enum_value_definitions) {
            let value = name(node.enum_value().and_then(|value| value.name()), place(node.syntax()))?;
            if let Some(owner) = self.types.get_mut(owner) {
                owner.values.insert(value);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Schema, Vec<Fault>> {
        for (name, at) in &self.used {
            if !self.types.contains_key(name) {
                self.faults.push(Fault::new(format!("There is no type {name}")).at(*at));
            }
        }
        let types = self.types;
        let roots = self.roots.unwrap_or_else(|| {
            Kind::ALL.map(|kind| Some(default_root(kind)).filter(|name| types.contains_key(*name)).map(Box::from))
        });
        if self.faults.is_empty() && roots[Kind::Query as usize].is_none() {
            self.faults.push(Fault::new("It has no type Query"));
        }
        match self.faults.is_empty() {
            true => Ok(Schema { types, roots }),
            false => Err(self.faults),
        }
    }
}

fn directive(directives: Option<&cst::Directives>, wanted: &str, at: usize) -> Result<Option<Value>, Fault> {
    for node in directives.iter().flat_map(|directives| directives.directives()) {
        if *name(node.name(), at)? == *wanted {
            return Ok(Some(Value::Object(arguments(node.arguments())?)));
        }
    }
    Ok(None)
}

/// A number, or one in a string as the specification has it.
fn price(directives: Option<&cst::Directives>, at: usize) -> Result<Option<u64>, Fault> {
    let Some(found) = directive(directives, "cost", at)? else { return Ok(None) };
    let weight = match found.member("weight") {
        Some(Value::Int(number)) => Some(*number as f64),
        Some(Value::Float(number)) => Some(*number),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    match weight.filter(|weight: &f64| *weight >= 0.0 && weight.is_finite()) {
        Some(weight) => Ok(Some(weight.ceil() as u64)),
        None => Err(Fault::new("@cost needs a weight that is a number, 0 or more").at(at)),
    }
}

fn lengths(directives: Option<&cst::Directives>, inputs: &[Input], at: usize) -> Result<Option<Lengths>, Fault> {
    let Some(found) = directive(directives, "listSize", at)? else { return Ok(None) };
    let assumed = match found.member("assumedSize") {
        None | Some(Value::Null) => None,
        Some(Value::Int(size)) if *size >= 0 => u64::try_from(*size).ok(),
        Some(_) => return Err(Fault::new("@listSize needs an assumedSize that is a whole number, 0 or more").at(at)),
    };
    let named = match found.member("slicingArguments") {
        Some(Value::List(items)) => &items[..],
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        _ => &[],
    };
    let mut arguments = Vec::new();
    for item in named {
        let Value::String(text) = item else {
            return Err(Fault::new("@listSize needs slicingArguments that are names").at(at));
        };
        let path = path(text);
        if !inputs.iter().any(|input| path.first() == Some(&input.name)) {
            return Err(Fault::new(format!("@listSize: there is no argument {text}")).at(at));
        }
        arguments.push(path);
    }
    Ok(Some(Lengths { arguments, assumed }))
}
