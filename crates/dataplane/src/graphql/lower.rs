//! From the parser's tree, which keeps every space, to ours.

use apollo_parser::cst::{self, CstNode, Definition};
use apollo_parser::{Parser, SyntaxKind, SyntaxNode};
use rustc_hash::FxHashMap;

use super::document::{
    Definitions, Directive, Field, Fragment, Kind, Operation, Refusal, Selection, Spreads, Variable,
};
use super::value::{TypeRef, Value};
use super::{Fault, NESTING};

type Named = Vec<(Box<str>, Value)>;

/// The parser's tree where it has no fault.
pub fn tree(text: &str) -> Result<cst::Document, Fault> {
    let tree = Parser::new(text).recursion_limit(NESTING).parse();
    match tree.errors().next() {
        None => Ok(tree.document()),
        Some(error) if error.is_limit() => {
            Err(Fault::new(format!("It is nested deeper than {NESTING} levels")).at(error.index()))
        }
        Some(error) => Err(Fault::new(error.message()).at(error.index())),
    }
}

pub(super) fn lower(text: &str) -> Result<Definitions, Refusal> {
    let tree = tree(text).map_err(Refusal::Syntax)?;
    let mut fragments = FxHashMap::default();
    for definition in tree.definitions() {
        if let Definition::FragmentDefinition(fragment) = &definition {
            let place = fragments.len();
            fragments.entry(fragment_name(fragment.fragment_name()).map_err(Refusal::Syntax)?).or_insert(place);
        }
    }
    let mut lowering = Lowering { fragments, spreads: Vec::new() };
    let mut definitions = Definitions { operations: Vec::new(), fragments: Vec::new() };
    for definition in tree.definitions() {
        match &definition {
            Definition::OperationDefinition(operation) => {
                definitions.operations.push(lowering.operation(operation).map_err(Refusal::Invalid)?);
            }
            Definition::FragmentDefinition(fragment) => {
                lowering.spreads.clear();
                let fragment = lowering.fragment(fragment).map_err(Refusal::Invalid)?;
                definitions.fragments.push((fragment, std::mem::take(&mut lowering.spreads)));
            }
            other => {
                let message = "It defines a part of a schema: only operations and fragments are executed";
                return Err(Refusal::Invalid(Fault::new(message).at(place(other.syntax()))));
            }
        }
    }
    Ok(definitions)
}

struct Lowering {
    /// By name, in the order of the text.
    fragments: FxHashMap<Box<str>, usize>,
    /// Those of the definition at hand.
    spreads: Spreads,
}

impl Lowering {
    fn operation(&mut self, node: &cst::OperationDefinition) -> Result<Operation, Fault> {
        let kind = match node.operation_type() {
            None => Kind::Query,
            Some(kind) if kind.query_token().is_some() => Kind::Query,
            Some(kind) if kind.mutation_token().is_some() => Kind::Mutation,
            Some(_) => Kind::Subscription,
        };
        let mut variables: Vec<Variable> = Vec::new();
        let mut directives = directives(node.directives())?;
        let mut known = FxHashMap::default();
        for variable in node.variable_definitions().iter().flat_map(cst::VariableDefinitions::variable_definitions) {
            let at = place(variable.syntax());
            let name = name(variable.variable().and_then(|variable| variable.name()), at)?;
            if known.insert(name.clone(), ()).is_some() {
                return Err(Fault::new(format!("The variable ${name} is there twice")).at(at));
            }
            let ty = variable.ty().ok_or_else(|| incomplete(at))?;
            let default = variable.default_value().and_then(|default| default.value());
            directives.extend(self::directives(variable.directives())?);
            variables.push(Variable { name, ty: type_ref(&ty)?, default: default.map(|v| value(&v)).transpose()? });
        }
        let selections = self.set(node.selection_set())?;
        Ok(Operation {
            kind,
            name: node.name().map(|name| name.text().as_str().into()),
            variables,
            directives,
            selections,
        })
    }

    fn fragment(&mut self, node: &cst::FragmentDefinition) -> Result<Fragment, Fault> {
        let at = place(node.syntax());
        Ok(Fragment {
            name: fragment_name(node.fragment_name())?,
            on: condition(node.type_condition()).ok_or_else(|| incomplete(at))?,
            directives: directives(node.directives())?,
            selections: self.set(node.selection_set())?,
            at,
        })
    }

    fn set(&mut self, node: Option<cst::SelectionSet>) -> Result<Vec<Selection>, Fault> {
        let Some(node) = node else { return Ok(Vec::new()) };
        node.selections().map(|selection| self.selection(&selection)).collect()
    }

    fn selection(&mut self, node: &cst::Selection) -> Result<Selection, Fault> {
        let at = place(node.syntax());
        match node {
            cst::Selection::Field(field) => Ok(Selection::Field(Field {
                name: name(field.name(), at)?,
                aliased: field.alias().is_some(),
                arguments: arguments(field.arguments())?,
                directives: directives(field.directives())?,
                selections: self.set(field.selection_set())?,
                at,
            })),
            cst::Selection::FragmentSpread(spread) => {
                let name = fragment_name(spread.fragment_name())?;
                let fragment = self.fragments.get(&name).copied();
                let fragment = fragment.ok_or_else(|| Fault::new(format!("There is no fragment {name}")).at(at))?;
                self.spreads.push((name, at));
                Ok(Selection::Spread { fragment, directives: directives(spread.directives())? })
            }
            cst::Selection::InlineFragment(inline) => Ok(Selection::Inline {
                on: condition(inline.type_condition()),
                directives: directives(inline.directives())?,
                selections: self.set(inline.selection_set())?,
                at,
            }),
        }
    }
}

fn directives(node: Option<cst::Directives>) -> Result<Vec<Directive>, Fault> {
    let nodes = node.iter().flat_map(cst::Directives::directives);
    nodes.map(|node| Ok(Directive { arguments: arguments(node.arguments())? })).collect()
}

pub(super) fn arguments(node: Option<cst::Arguments>) -> Result<Named, Fault> {
    let nodes = node.iter().flat_map(cst::Arguments::arguments);
    members(nodes.map(|node| (place(node.syntax()), node.name(), node.value())))
}

/// What is given twice is refused: services differ in which they take.
fn members(nodes: impl Iterator<Item = (usize, Option<cst::Name>, Option<cst::Value>)>) -> Result<Named, Fault> {
    let mut members: Named = Vec::new();
    let mut known = FxHashMap::default();
    for (at, name, value) in nodes {
        let name = self::name(name, at)?;
        if known.insert(name.clone(), ()).is_some() {
            return Err(Fault::new(format!("{name} is given twice")).at(at));
        }
        members.push((name, self::value(&value.ok_or_else(|| incomplete(at))?)?));
    }
    Ok(members)
}

pub(super) fn value(node: &cst::Value) -> Result<Value, Fault> {
    let text = || node.syntax().text().to_string();
    Ok(match node {
        cst::Value::Variable(variable) => Value::Variable(name(variable.name(), place(node.syntax()))?),
        cst::Value::StringValue(string) => Value::String(String::from(string).into()),
        cst::Value::FloatValue(_) => Value::Float(text().trim().parse().unwrap_or(f64::INFINITY)),
        cst::Value::IntValue(_) => match text().trim().parse() {
            Ok(number) => Value::Int(number),
            Err(_) => Value::Float(text().trim().parse().unwrap_or(f64::INFINITY)),
        },
        cst::Value::BooleanValue(_) => Value::Boolean,
        cst::Value::NullValue(_) => Value::Null,
        cst::Value::EnumValue(_) => Value::Enum(text().trim().into()),
        cst::Value::ListValue(list) => {
            Value::List(list.values().map(|item| value(&item)).collect::<Result<_, Fault>>()?)
        }
        cst::Value::ObjectValue(object) => {
            let fields = object.object_fields();
            Value::Object(members(fields.map(|field| (place(field.syntax()), field.name(), field.value())))?)
        }
    })
}

pub(super) fn type_ref(node: &cst::Type) -> Result<TypeRef, Fault> {
    let at = place(node.syntax());
    let named = |node: Option<cst::NamedType>| Ok(TypeRef::Named(name(node.and_then(|node| node.name()), at)?));
    let list = |node: cst::ListType| Ok(TypeRef::List(Box::new(type_ref(&node.ty().ok_or_else(|| incomplete(at))?)?)));
    match node {
        cst::Type::NamedType(node) => named(Some(node.clone())),
        cst::Type::ListType(node) => list(node.clone()),
        cst::Type::NonNullType(node) => Ok(TypeRef::NonNull(Box::new(match node.list_type() {
            Some(node) => list(node)?,
            None => named(node.named_type())?,
        }))),
    }
}

fn condition(node: Option<cst::TypeCondition>) -> Option<Box<str>> {
    Some(node?.named_type()?.name()?.text().as_str().into())
}

fn fragment_name(node: Option<cst::FragmentName>) -> Result<Box<str>, Fault> {
    let node = node.ok_or_else(|| Fault::new("A fragment has no name"))?;
    name(node.name(), place(node.syntax()))
}

pub(super) fn name(node: Option<cst::Name>, at: usize) -> Result<Box<str>, Fault> {
    Ok(node.ok_or_else(|| incomplete(at))?.text().as_str().into())
}

/// What the parser has let pass though something is missing. It tells of it otherwise; nothing is taken on trust.
fn incomplete(at: usize) -> Fault {
    Fault::new("Something is missing here").at(at)
}

/// Where a node's own text begins.
pub(super) fn place(node: &SyntaxNode) -> usize {
    let ignored = |kind| matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT | SyntaxKind::COMMA);
    let mut token = node.first_token();
    while let Some(here) = token.as_ref().filter(|here| ignored(here.kind())) {
        token = here.next_token();
    }
    token.map_or_else(|| node.text_range().start(), |token| token.text_range().start()).into()
}
