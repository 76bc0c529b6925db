//! The types of an expression, found before any request: every name is known, operands go together, and the whole is
//! true or false. Claims are the one thing that only a request knows.

use std::fmt;

use cel::common::ast::{operators, CallExpr, ComprehensionExpr, Expr, SelectExpr};
use cel::common::value::CelVal;
use cel::IdedExpr;

use super::variables::{Variable, ALL};
use super::{parts, NESTED, PARTS};

#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Known only to a request.
    Any,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    List(Box<Type>),
    /// Its keys are text.
    Map(Box<Type>),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("anything"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::Text => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Null => f.write_str("null"),
            Type::List(each) => write!(f, "list of {each}"),
            Type::Map(each) => write!(f, "map of {each}"),
        }
    }
}

impl Type {
    fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }

    /// Whether a value of one may be compared with one of the other.
    fn goes_with(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::Any | Type::Null, _) | (_, Type::Any | Type::Null) => true,
            (Type::List(one), Type::List(other)) | (Type::Map(one), Type::Map(other)) => one.goes_with(other),
            (one, other) => one == other || (one.is_number() && other.is_number()),
        }
    }
}

/// What an expression needs.
#[derive(Default)]
pub struct Checked {
    pub variables: Vec<Variable>,
    pub patterns: Vec<String>,
}

/// Also replaces `OBJECT.FIELD` by the one variable that it is, so that only those are built.
pub fn check(expression: &mut IdedExpr) -> Result<Checked, String> {
    let mut checker = Checker { checked: Checked::default(), scope: Vec::new() };
    count(expression, 0, &mut 0)?;
    match checker.check(expression)? {
        Type::Bool | Type::Any => Ok(checker.checked),
        other => Err(format!("it is {other}, and has to be true or false")),
    }
}

fn count(expression: &IdedExpr, nested: usize, parts_so_far: &mut usize) -> Result<(), String> {
    *parts_so_far += 1;
    if *parts_so_far > PARTS {
        return Err(format!("it has more than {PARTS} parts"));
    }
    let nested = nested + usize::from(matches!(expression.expr, Expr::Comprehension(_)));
    if nested > NESTED {
        return Err(format!("more than {NESTED} of 'all', 'exists', 'map' and 'filter' are within each other"));
    }
    parts(expression).into_iter().try_for_each(|part| count(part, nested, parts_so_far))
}

struct Checker {
    checked: Checked,
    /// Variables of comprehensions, the innermost last.
    scope: Vec<(String, Type)>,
}

impl Checker {
    fn check(&mut self, expression: &mut IdedExpr) -> Result<Type, String> {
        if let Some(variable) = self.variable(&expression.expr)? {
            expression.expr = Expr::Ident(variable.key().to_owned());
            if !self.checked.variables.contains(&variable) {
                self.checked.variables.push(variable);
            }
            return Ok(variable.kind());
        }
        match &mut expression.expr {
            Expr::Literal(value) => literal(value),
            Expr::Ident(name) => self.local(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(each) => self.comprehension(each),
            Expr::List(list) => {
                let mut common: Option<Type> = None;
                for element in &mut list.elements {
                    let kind = self.check(element)?;
                    common = Some(match common {
                        None => kind,
                        Some(common) if common == kind => kind,
                        Some(_) => Type::Any,
                    });
                }
                Ok(Type::List(Box::new(common.unwrap_or(Type::Any))))
            }
            Expr::Map(_) | Expr::Struct(_) => Err("maps and messages cannot be written here".to_owned()),
            Expr::Unspecified => Err("it is empty".to_owned()),
        }
    }

    /// Where it is a variable of ours that no comprehension hides.
    fn variable(&self, expression: &Expr) -> Result<Option<Variable>, String> {
        let (object, field) = match expression {
            Expr::Ident(name) => (name.as_str(), ""),
            Expr::Select(SelectExpr { operand, field, test }) => match &operand.expr {
                Expr::Ident(object) if object != "claims" && is_object(object) && self.find(object).is_none() => {
                    if *test {
                        return Err(format!("has({object}.{field}): it is always there"));
                    }
                    (object.as_str(), field.as_str())
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !is_object(object) || self.find(object).is_some() {
            return Ok(None);
        }
        let found = ALL.iter().find(|(_, known, its)| *known == object && *its == field);
        found.map(|(variable, ..)| Some(*variable)).ok_or_else(|| {
            let fields: Vec<&str> =
                ALL.iter().filter(|(_, known, _)| *known == object).map(|(_, _, its)| *its).collect();
            match field {
                "" => format!("'{object}' alone says nothing: name one of its fields, {}", fields.join(", ")),
                field => format!("'{object}' has no field '{field}'; it has {}", fields.join(", ")),
            }
        })
    }

    fn find(&self, name: &str) -> Option<&Type> {
        self.scope.iter().rev().find(|(known, _)| known == name).map(|(_, kind)| kind)
    }

    fn local(&self, name: &str) -> Result<Type, String> {
        self.find(name)
            .cloned()
            .ok_or_else(|| format!("there is no variable '{name}'; there are request, consumer, claims and client"))
    }

    fn select(&mut self, select: &mut SelectExpr) -> Result<Type, String> {
        let kind = match self.check(&mut select.operand)? {
            Type::Any => Type::Any,
            Type::Map(each) => *each,
            other => return Err(format!("'.{}' is asked of {other}, which has no fields", select.field)),
        };
        Ok(if select.test { Type::Bool } else { kind })
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<Type, String> {
        let target = call.target.as_mut().map(|target| self.check(target)).transpose()?;
        let mut arguments = Vec::with_capacity(call.args.len());
        for argument in &mut call.args {
            arguments.push(self.check(argument)?);
        }
        if target.is_none() {
            if let Some(kind) = operator(&call.func_name, &arguments)? {
                return Ok(kind);
            }
        }
        if call.func_name == "matches" {
            match call.args.last().map(|argument| &argument.expr) {
                Some(Expr::Literal(CelVal::String(pattern))) => self.checked.patterns.push(pattern.clone()),
                _ => return Err("matches: the pattern is a text that stands in the expression".to_owned()),
            }
        }
        function(&call.func_name, target, &arguments)
    }

    fn comprehension(&mut self, each: &mut ComprehensionExpr) -> Result<Type, String> {
        let element = match self.check(&mut each.iter_range)? {
            Type::Any => Type::Any,
            Type::List(element) => *element,
            Type::Map(_) => Type::Text,
            other => return Err(format!("{other} has no elements to go through")),
        };
        for name in [Some(&each.iter_var), each.iter_var2.as_ref()].into_iter().flatten() {
            if is_object(name) {
                return Err(format!("'{name}' is a variable already; give the element another name"));
            }
        }
        let accumulated = self.check(&mut each.accu_init)?;
        let before = self.scope.len();
        self.scope.push((each.iter_var.clone(), element));
        if let Some(second) = &each.iter_var2 {
            self.scope.push((second.clone(), Type::Any));
        }
        self.scope.push((each.accu_var.clone(), accumulated));
        let checked = self.rest(each);
        self.scope.truncate(before);
        checked
    }

    fn rest(&mut self, each: &mut ComprehensionExpr) -> Result<Type, String> {
        self.check(&mut each.loop_cond)?;
        self.check(&mut each.loop_step)?;
        self.check(&mut each.result)
    }
}

fn is_object(name: &str) -> bool {
    ALL.iter().any(|(_, object, _)| *object == name)
}

fn literal(value: &CelVal) -> Result<Type, String> {
    Ok(match value {
        CelVal::Boolean(_) => Type::Bool,
        CelVal::Bytes(_) => Type::Bytes,
        CelVal::Double(_) => Type::Double,
        CelVal::Int(_) => Type::Int,
        CelVal::UInt(_) => Type::Uint,
        CelVal::String(_) => Type::Text,
        CelVal::Null => Type::Null,
        _ => return Err("a literal of a type that is not known here".to_owned()),
    })
}

/// None where the name is no operator's.
fn operator(name: &str, operands: &[Type]) -> Result<Option<Type>, String> {
    let wrong = |what: &str| {
        let kinds: Vec<String> = operands.iter().map(Type::to_string).collect();
        Err(format!("{what} between {}", kinds.join(" and ")))
    };
    let is = |wanted: &Type| operands.iter().all(|kind| kind == wanted || *kind == Type::Any);
    Ok(Some(match (name, operands) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => match is(&Type::Bool) {
            true => Type::Bool,
            false => return wrong("'&&', '||' and '!' take true or false, and stand here"),
        },
        (operators::NOT_STRICTLY_FALSE, _) => Type::Bool,
        (operators::CONDITIONAL, [condition, one, other]) => match condition {
            Type::Bool | Type::Any if one == other => one.clone(),
            Type::Bool | Type::Any => Type::Any,
            other => return Err(format!("before '?' stands {other}, and not true or false")),
        },
        (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => match one.goes_with(other) {
            true => Type::Bool,
            false => return wrong("'==' or '!=' stands"),
        },
        (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [one, other]) => {
            let ordered = |kind: &Type| kind.is_number() || matches!(kind, Type::Any | Type::Text | Type::Bytes);
            match one.goes_with(other) && ordered(one) && ordered(other) {
                true => Type::Bool,
                false => return wrong("an order is asked for"),
            }
        }
        (operators::IN, [element, list]) => match list {
            Type::Any => Type::Bool,
            Type::List(each) if element.goes_with(each) => Type::Bool,
            Type::Map(_) if element.goes_with(&Type::Text) => Type::Bool,
            _ => return wrong("'in' stands"),
        },
        (operators::INDEX, [list, index]) => match (list, index) {
            (Type::Any, _) => Type::Any,
            (Type::List(each), Type::Int | Type::Uint | Type::Any) => (**each).clone(),
            (Type::Map(each), Type::Text | Type::Any) => (**each).clone(),
            _ => return wrong("'[…]' stands"),
        },
        (operators::ADD, [one, other]) => match (one, other) {
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (Type::List(each), Type::List(other)) if each == other => one.clone(),
            (Type::List(_), Type::List(_)) => Type::List(Box::new(Type::Any)),
            (one, other) if one == other && (one.is_number() || matches!(one, Type::Text | Type::Bytes)) => one.clone(),
            _ => return wrong("'+' stands"),
        },
        (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [one, other]) => {
            match (one, other) {
                (Type::Any, _) | (_, Type::Any) => Type::Any,
                (one, other) if one == other && one.is_number() => one.clone(),
                _ => return wrong("a number is asked for"),
            }
        }
        (operators::NEGATE, [one]) => match one {
            Type::Int | Type::Double | Type::Any => one.clone(),
            other => return Err(format!("'-' stands before {other}")),
        },
        _ => return Ok(None),
    }))
}

fn function(name: &str, target: Option<Type>, arguments: &[Type]) -> Result<Type, String> {
    let mut all: Vec<Type> = target.into_iter().collect();
    all.extend_from_slice(arguments);
    let text = |kind: &Type| matches!(kind, Type::Text | Type::Any);
    let (takes, gives): (&str, Type) = match name {
        "startsWith" | "endsWith" | "matches" => ("two strings", Type::Bool),
        "contains" => ("two strings, or a list and an element", Type::Bool),
        "size" => ("a string, a list or a map", Type::Int),
        "string" => ("one value", Type::Text),
        "int" => ("a number or a string", Type::Int),
        "double" => ("a number or a string", Type::Double),
        _ => {
            let known = "size, startsWith, endsWith, contains, matches, string, int, double, has, all, exists, exists_one, filter and map";
            return Err(format!("there is no function '{name}'; there are {known}"));
        }
    };
    let right = match (name, all.as_slice()) {
        ("startsWith" | "endsWith" | "matches", [one, other]) => text(one) && text(other),
        ("contains", [Type::List(each), element]) => each.goes_with(element),
        ("contains", [one, other]) => text(one) && text(other),
        ("size", [one]) => text(one) || matches!(one, Type::List(_) | Type::Map(_) | Type::Bytes),
        ("string", [one]) => !matches!(one, Type::List(_) | Type::Map(_)),
        ("int" | "double", [one]) => text(one) || one.is_number(),
        _ => false,
    };
    match right {
        true => Ok(gives),
        false => {
            let kinds: Vec<String> = all.iter().map(Type::to_string).collect();
            Err(format!("'{name}' takes {takes}, and not {}", kinds.join(" and ")))
        }
    }
}
