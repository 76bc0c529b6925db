//! An element as JSON of its type. Read leniently: what the schema does not know is left out, what it requires may be
//! missing.

use super::document::{Element, Name};
use super::encode::TYPE;
use super::lexical;
use super::types::{Complex, Content, Member, Type, Types, XS};
use crate::protocol::json::quote;
use crate::snapshot::SimpleKind;

pub struct Decoder<'a> {
    pub types: &'a Types,
}

impl Decoder<'_> {
    pub fn element(&self, kind: usize, element: &Element, into: &mut Vec<u8>) {
        if element.is_nil {
            return into.extend_from_slice(b"null");
        }
        match self.types.get(kind) {
            Type::Complex(complex) => {
                let actual = element.kind.as_ref().and_then(|name| self.types.find(Some(&name.namespace), &name.local));
                match actual.filter(|actual| *actual != kind).map(|actual| self.types.get(actual)) {
                    Some(Type::Complex(complex)) => self.complex(complex, element, true, into),
                    _ => self.complex(complex, element, false, into),
                }
            }
            Type::Any => {
                match element.kind.as_ref().map(|name| (name, self.types.find(Some(&name.namespace), &name.local))) {
                    Some((_, Some(actual))) => match self.types.get(actual) {
                        Type::Complex(complex) => self.complex(complex, element, true, into),
                        _ => self.anything(element, into),
                    },
                    _ => self.anything(element, into),
                }
            }
            // It was to be a scalar.
            _ if !element.children.is_empty() => self.anything(element, into),
            _ => self.simple(kind, &element.text, into),
        }
    }

    fn simple(&self, kind: usize, text: &str, into: &mut Vec<u8>) {
        match self.types.get(kind) {
            Type::Simple { kind, .. } => lexical::decode(*kind, text, into),
            Type::List(item) => {
                into.push(b'[');
                for (index, text) in text.split_ascii_whitespace().enumerate() {
                    if index > 0 {
                        into.push(b',');
                    }
                    self.simple(*item, text, into);
                }
                into.push(b']');
            }
            Type::Union(members) => {
                // The first whose value it is: a string is everything's.
                let start = into.len();
                for member in members {
                    into.truncate(start);
                    self.simple(*member, text, into);
                    if into.get(start) != Some(&b'"') {
                        return;
                    }
                }
            }
            Type::Any | Type::Complex(_) => into.extend(quote(text)),
        }
    }

    fn complex(&self, complex: &Complex, element: &Element, tell_type: bool, into: &mut Vec<u8>) {
        let is_scalar = complex.attributes.is_empty() && !complex.any_attribute && !tell_type;
        if let (Content::Text(kind), true) = (&complex.content, is_scalar) {
            return self.simple(*kind, &element.text, into);
        }
        let mut object = Object::new(into);
        if let Some(name) = complex.name.as_ref().filter(|_| tell_type) {
            let text = match self.types.is_unique(&name.local) {
                true => name.local.clone(),
                false => format!("{{{}}}{}", name.namespace, name.local),
            };
            object.name(TYPE).extend(quote(&text));
        }
        for (name, value) in &element.attributes {
            let known = complex.attributes.iter().find(|known| *known.key.get(1..).unwrap_or("") == *name.local);
            match known {
                Some(known) => self.simple(known.kind, value, object.name(&known.key)),
                None if complex.any_attribute => object.name(&format!("@{}", name.local)).extend(quote(value)),
                None => {}
            }
        }
        if let Content::Text(kind) = &complex.content {
            self.simple(*kind, &element.text, object.name("#text"));
            return object.end();
        }
        if complex.mixed && !element.text.trim().is_empty() {
            object.name("#text").extend(quote(element.text.trim()));
        }
        let mut groups = Groups::default();
        for child in &element.children {
            match member(complex, &child.name) {
                Some(member) => groups.add(Some(member), &member.element.name, child),
                None if complex.has_any => groups.add(None, &clark(&child.name), child),
                None => {}
            }
        }
        for (member, name, children) in &groups.0 {
            let into = object.name(name);
            let one = |child: &Element, into: &mut Vec<u8>| match member {
                Some(member) => self.element(member.element.kind, child, into),
                None => self.anything(child, into),
            };
            match member.is_some_and(|member| member.list) || children.len() > 1 {
                true => list(children, into, one),
                false => children.iter().for_each(|child| one(child, into)),
            }
        }
        // A list is there also when it is empty, unless something else may be there in its place.
        for name in &complex.order {
            let lists = complex.members.get(name).is_some_and(|all| all.iter().all(|each| each.list && !each.chosen));
            if lists && !groups.0.iter().any(|(_, known, _)| **known == **name) {
                object.name(name).extend_from_slice(b"[]");
            }
        }
        object.end();
    }

    /// Without a type: an element with nothing but text is a string, unless it says itself what it is.
    pub fn anything(&self, element: &Element, into: &mut Vec<u8>) {
        if element.is_nil {
            return into.extend_from_slice(b"null");
        }
        if element.children.is_empty() && element.attributes.is_empty() {
            let kind = element.kind.as_ref().filter(|name| &*name.namespace == XS).and_then(|name| scalar(&name.local));
            return lexical::decode(kind.unwrap_or(SimpleKind::String), &element.text, into);
        }
        let mut object = Object::new(into);
        for (name, value) in &element.attributes {
            object.name(&format!("@{}", name.local)).extend(quote(value));
        }
        if !element.text.trim().is_empty() {
            object.name("#text").extend(quote(element.text.trim()));
        }
        let mut groups = Groups::default();
        for child in &element.children {
            groups.add(None, &child.name.local, child);
        }
        for (_, name, children) in &groups.0 {
            let into = object.name(name);
            match children.as_slice() {
                [child] => self.anything(child, into),
                children => list(children, into, |child, into| self.anything(child, into)),
            }
        }
        object.end();
    }
}

/// By its whole name; a service that forgets the namespace is understood too.
fn member<'c>(complex: &'c Complex, name: &Name) -> Option<&'c Member> {
    let members = complex.members.get(&*name.local)?;
    members.iter().find(|member| *member.element.namespace == *name.namespace).or_else(|| members.first())
}

fn clark(name: &Name) -> String {
    match &*name.namespace {
        "" => name.local.to_string(),
        namespace => format!("{{{namespace}}}{}", name.local),
    }
}

fn scalar(local: &str) -> Option<SimpleKind> {
    match local {
        "boolean" => Some(SimpleKind::Boolean),
        "decimal" => Some(SimpleKind::Decimal),
        "float" | "double" => Some(SimpleKind::Float),
        "base64Binary" => Some(SimpleKind::Base64),
        "integer" | "long" | "int" | "short" | "byte" | "nonNegativeInteger" | "positiveInteger" | "unsignedLong"
        | "unsignedInt" | "unsignedShort" | "unsignedByte" | "negativeInteger" | "nonPositiveInteger" => {
            Some(SimpleKind::Integer)
        }
        _ => None,
    }
}

fn list(children: &[&Element], into: &mut Vec<u8>, mut one: impl FnMut(&Element, &mut Vec<u8>)) {
    into.push(b'[');
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            into.push(b',');
        }
        one(child, into);
    }
    into.push(b']');
}

/// Children by name, in the order in which the names come first.
#[derive(Default)]
struct Groups<'a>(Vec<(Option<&'a Member>, String, Vec<&'a Element>)>);

impl<'a> Groups<'a> {
    fn add(&mut self, member: Option<&'a Member>, name: &str, child: &'a Element) {
        match self.0.iter_mut().find(|(_, known, _)| known == name) {
            Some((_, _, children)) => children.push(child),
            None => self.0.push((member, name.to_owned(), vec![child])),
        }
    }
}

struct Object<'a> {
    into: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn new(into: &'a mut Vec<u8>) -> Self {
        into.push(b'{');
        Self { into, is_empty: true }
    }

    /// Where its value goes.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.into.push(b',');
        }
        self.into.extend(quote(name));
        self.into.push(b':');
        self.into
    }

    fn end(self) {
        self.into.push(b'}');
    }
}
