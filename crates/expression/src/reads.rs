//! Which fields of its input an expression reads, as far as its source tells for sure: `.a.b`, `.items[].x`, through `|`,
//! `map`, `select` and the like. What may look for a field that need not be there (`try`, `?`, `has`) reads nothing.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::{Opt, Part};

use crate::expression::{on_deep_stack, MAX_SOURCE_BYTES};

/// One step into a value: a field, or every item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Field(String),
    Item,
}

type Way = Vec<Step>;

/// Ways from the input. Empty where the source cannot be read: the compiler says what is wrong with it.
pub fn reads(source: &str) -> Vec<Way> {
    if source.len() > MAX_SOURCE_BYTES {
        return Vec::new();
    }
    let found = on_deep_stack(|| {
        let mut found = Vec::new();
        if let Some(term) = jaq_core::load::parse(source, |parser| parser.term()) {
            walk(&term, Some(&Vec::new()), &mut found);
        }
        found
    });
    found.unwrap_or_default()
}

/// `from`: where the term's input lies in the expression's; None: somewhere. Yields the same of its output.
fn walk(term: &Term<&str>, from: Option<&Way>, found: &mut Vec<Way>) -> Option<Way> {
    match term {
        Term::Id => from.cloned(),
        Term::Path(head, path) => {
            let mut way = walk(head, from, found);
            for (part, opt) in &path.0 {
                way = step(way, part, *opt, from, found);
                found.extend(way.clone());
            }
            way
        }
        Term::BinOp(left, op, right) => binary(left, op, right, from, found),
        Term::Obj(members) => {
            for (key, value) in members {
                match value {
                    Some(value) => drop((walk(key, from, found), walk(value, from, found))),
                    None => drop(text(key).map(|name| found.extend(from.map(|way| below(way, Step::Field(name)))))),
                }
            }
            None
        }
        Term::Arr(inner) => {
            inner.iter().for_each(|term| drop(walk(term, from, found)));
            None
        }
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    walk(term, from, found);
                }
            }
            None
        }
        Term::Neg(term) => walk(term, from, found).and(None),
        Term::Label(_, term) => walk(term, from, found),
        Term::IfThenElse(cases, last) => {
            for (condition, then) in cases {
                walk(condition, from, found);
                walk(then, from, found);
            }
            last.iter().for_each(|term| drop(walk(term, from, found)));
            None
        }
        Term::Fold(_, over, _, _) => walk(over, from, found).and(None),
        Term::Call(name, arguments) => call(name, arguments, from, found),
        // A definition may give a known name another meaning.
        Term::Def(..) | Term::TryCatch(..) | Term::Var(_) | Term::Recurse | Term::Num(_) | Term::Break(_) => None,
    }
}

fn step(way: Option<Way>, part: &Part<Term<&str>>, opt: Opt, from: Option<&Way>, found: &mut Vec<Way>) -> Option<Way> {
    let step = match part {
        Part::Index(index) => match (text(index), index) {
            (Some(name), _) => Step::Field(name),
            (None, Term::Num(_)) => Step::Item,
            (None, index) => return walk(index, from, found).and(None),
        },
        Part::Range(None, None) => Step::Item,
        // A part of a list is a list of the same items.
        Part::Range(..) => return way.filter(|_| matches!(opt, Opt::Essential)),
    };
    way.filter(|_| matches!(opt, Opt::Essential)).map(|way| below(&way, step))
}

fn binary(
    left: &Term<&str>,
    op: &BinaryOp<&str>,
    right: &Term<&str>,
    from: Option<&Way>,
    found: &mut Vec<Way>,
) -> Option<Way> {
    match op {
        BinaryOp::Pipe(None) => {
            let way = walk(left, from, found);
            walk(right, way.as_ref(), found)
        }
        BinaryOp::Pipe(Some(_)) => {
            walk(left, from, found);
            walk(right, from, found)
        }
        BinaryOp::Comma => {
            let ways = (walk(left, from, found), walk(right, from, found));
            ways.0.filter(|way| ways.1.as_ref() == Some(way))
        }
        // What is set need not be there before.
        BinaryOp::Assign | BinaryOp::UpdateMath(_) => walk(right, from, found).and(None),
        BinaryOp::Update | BinaryOp::UpdateAlt => None,
        BinaryOp::Alt | BinaryOp::Or | BinaryOp::And | BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
            walk(left, from, found);
            walk(right, from, found);
            None
        }
    }
}

fn call(name: &str, arguments: &[Term<&str>], from: Option<&Way>, found: &mut Vec<Way>) -> Option<Way> {
    match (name, arguments) {
        ("map" | "any" | "all", [filter]) => {
            let item = from.map(|way| below(way, Step::Item));
            walk(filter, item.as_ref(), found).and(None)
        }
        ("sort_by" | "unique_by", [filter]) => {
            let item = from.map(|way| below(way, Step::Item));
            walk(filter, item.as_ref(), found);
            from.cloned()
        }
        ("min_by" | "max_by" | "group_by", [filter]) => {
            let item = from.map(|way| below(way, Step::Item));
            walk(filter, item.as_ref(), found);
            item.filter(|_| name != "group_by")
        }
        ("select" | "del", [filter]) => {
            walk(filter, from, found);
            from.cloned()
        }
        ("sort" | "reverse" | "unique", []) => from.cloned(),
        ("first" | "last", []) => from.map(|way| below(way, Step::Item)),
        _ => None,
    }
}

/// A text without anything put into it.
fn text(term: &Term<&str>) -> Option<String> {
    match term {
        Term::Str(None, parts) => match parts.as_slice() {
            [StrPart::Str(text)] => Some((*text).to_owned()),
            _ => None,
        },
        _ => None,
    }
}

fn below(way: &Way, step: Step) -> Way {
    let mut way = way.clone();
    way.push(step);
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(source: &str) -> Vec<String> {
        let name = |step: &Step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Item => "[]".to_owned(),
        };
        let mut ways: Vec<String> = reads(source).iter().map(|way| way.iter().map(name).collect()).collect();
        ways.sort();
        ways.dedup();
        ways
    }

    #[test]
    fn fields_are_found_where_the_source_tells_for_sure() {
        for (source, expected) in [
            (".a.b", &[".a", ".a.b"][..]),
            ("{sku: .item, quantity: (.count // 1), by: $request.consumer.id}", &[".count", ".item"]),
            (".items[].x", &[".items", ".items[]", ".items[].x"]),
            (".items | map({n: .name, m: .[\"k\"]})", &[".items", ".items[].k", ".items[].name"]),
            ("[.items[] | select(.on) | .x]", &[".items", ".items[]", ".items[].on", ".items[].x"]),
            (".items[:5] | first | .x", &[".items", ".items[].x"]),
            ("{a, \"b\": .c}", &[".a", ".c"]),
            ("del(.a.b) | .c", &[".a", ".a.b", ".c"]),
            ("\"\\(.a) and \\(.b)\"", &[".a", ".b"]),
            ("if .a then .b else .c end", &[".a", ".b", ".c"]),
            (".a as $x | .b + $x.c", &[".a", ".b"]),
            (".new = .old", &[".old"]),
            ("sort_by(.n) | .[0].m", &["[]", "[].m", "[].n"]),
            // Of these nothing is sure.
            ("try .a catch .b", &[]),
            (".a? // .b", &[".b"]),
            (".a[", &[]),
            ("def map(f): f; map(.a)", &[]),
            ("to_entries | map(.key)", &[]),
            (".. | .a", &[]),
            ("has(\"a\")", &[]),
        ] {
            assert_eq!(ways(source), expected, "{source}");
        }
    }
}
