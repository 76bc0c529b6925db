//! Types of messages, as compiled: names as they are written, members by name.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::document::XSI;
use crate::snapshot::{self, SimpleKind, SoapVersion, Term as Settings, XmlContent, XmlName, XmlType};

pub const XS: &str = "http://www.w3.org/2001/XMLSchema";

pub struct Types {
    all: Vec<Type>,
    /// Complex types that have a name.
    named: FxHashMap<Box<str>, Vec<usize>>,
    /// Namespace → prefix.
    prefixes: FxHashMap<Box<str>, Box<str>>,
}

pub enum Type {
    Any,
    Simple { kind: SimpleKind, words: Box<[Box<str>]> },
    List(usize),
    Union(Box<[usize]>),
    Complex(Box<Complex>),
}

pub struct Complex {
    pub name: Option<XmlName>,
    pub is_abstract: bool,
    pub attributes: Box<[Attribute]>,
    pub any_attribute: bool,
    pub content: Content,
    pub mixed: bool,
    /// Itself, unless it is abstract, and those that may stand in its place.
    pub substitutes: Box<[usize]>,
    /// Elements within, by their local name.
    pub members: FxHashMap<Box<str>, Vec<Member>>,
    /// In the order of the schema.
    pub order: Box<[Box<str>]>,
    pub has_any: bool,
}

pub struct Attribute {
    /// As a member of JSON: with `@`.
    pub key: Box<str>,
    pub tag: Box<str>,
    pub kind: usize,
    pub required: bool,
    pub fixed: Option<Box<str>>,
}

pub enum Content {
    Empty,
    Text(usize),
    Elements(Particle),
}

pub struct Particle {
    pub min: usize,
    pub max: usize,
    pub term: Term,
    /// Of all elements within.
    pub names: Box<[Box<str>]>,
}

pub enum Term {
    Element(Arc<Element>),
    /// One after the other; those of `xs:all` too, since one order is as good as another.
    Sequence(Box<[Particle]>),
    Choice(Box<[Particle]>),
    Any,
}

pub struct Element {
    pub name: Box<str>,
    pub namespace: Box<str>,
    /// With its prefix.
    pub tag: Box<str>,
    pub kind: usize,
    pub nillable: bool,
    pub fixed: Option<Box<str>>,
}

#[derive(Clone)]
pub struct Member {
    pub element: Arc<Element>,
    /// There may be several.
    pub list: bool,
    /// It may have to be absent, because another element is there.
    pub chosen: bool,
}

impl Types {
    pub fn compile(operation: &snapshot::SoapOperation) -> Result<Self, String> {
        let mut types = Self { all: Vec::new(), named: FxHashMap::default(), prefixes: FxHashMap::default() };
        let roots = operation.input.iter().chain(&operation.output).chain(&operation.faults);
        for root in roots {
            types.prefix(&root.namespace);
            types.known(root.kind, operation)?;
        }
        for (index, settings) in operation.types.iter().enumerate() {
            let compiled = types.compile_type(settings, operation)?;
            if let Type::Complex(complex) = &compiled {
                if let Some(name) = &complex.name {
                    types.prefix(&name.namespace);
                    types.named.entry(name.local.as_str().into()).or_default().push(index);
                }
            }
            types.all.push(compiled);
        }
        for index in 0..types.all.len() {
            let Some(XmlType::Complex(settings)) = operation.types.get(index) else { continue };
            for derived in &settings.derived {
                types.known(*derived, operation)?;
            }
            let own = (!settings.is_abstract).then_some(index);
            let substitutes = own.into_iter().chain(settings.derived.iter().copied()).filter(
                |index| matches!(operation.types.get(*index), Some(XmlType::Complex(complex)) if !complex.is_abstract),
            );
            let substitutes = substitutes.collect();
            if let Type::Complex(complex) = &mut types.all[index] {
                complex.substitutes = substitutes;
            }
        }
        Ok(types)
    }

    pub fn get(&self, index: usize) -> &Type {
        // Every place was found to be within when they were compiled.
        self.all.get(index).unwrap_or(&Type::Any)
    }

    /// A complex type by its name; without a namespace, one of that local name.
    pub fn find(&self, namespace: Option<&str>, local: &str) -> Option<usize> {
        let same = |index: &usize| match self.get(*index) {
            Type::Complex(complex) => {
                complex.name.as_ref().is_some_and(|name| namespace.is_none_or(|namespace| name.namespace == namespace))
            }
            _ => false,
        };
        self.named.get(local)?.iter().copied().find(|index| same(index))
    }

    /// Whether no other type has this local name.
    pub fn is_unique(&self, local: &str) -> bool {
        self.named.get(local).is_some_and(|named| named.len() == 1)
    }

    /// `prefix:name`.
    pub fn tag(&self, namespace: &str, name: &str) -> Box<str> {
        match self.prefixes.get(namespace) {
            Some(prefix) => format!("{prefix}:{name}").into(),
            None => name.into(),
        }
    }

    /// ` xmlns:…="…"` for each namespace.
    pub fn declarations(&self, version: SoapVersion) -> String {
        let mut pairs: Vec<(&str, &str)> = vec![("soap", envelope(version)), ("xsi", XSI), ("xs", XS)];
        let mut own: Vec<(&str, &str)> = self.prefixes.iter().map(|(name, prefix)| (&**prefix, &**name)).collect();
        own.sort_unstable_by_key(|(prefix, _)| (prefix.len(), *prefix));
        pairs.extend(own);
        pairs.iter().map(|(prefix, name)| format!(" xmlns:{prefix}=\"{}\"", attribute(name))).collect()
    }

    pub fn element(&self, settings: &snapshot::XmlElement) -> Element {
        Element {
            name: settings.name.as_str().into(),
            namespace: settings.namespace.as_str().into(),
            tag: self.tag(&settings.namespace, &settings.name),
            kind: settings.kind,
            nillable: settings.nillable,
            fixed: settings.fixed.as_deref().map(Box::from),
        }
    }

    fn known(&self, index: usize, operation: &snapshot::SoapOperation) -> Result<(), String> {
        let known = index < operation.types.len();
        known.then_some(()).ok_or_else(|| format!("there is no type {index} of the operation '{}'", operation.name))
    }

    fn prefix(&mut self, namespace: &str) {
        if !namespace.is_empty() && !self.prefixes.contains_key(namespace) {
            let prefix = format!("n{}", self.prefixes.len());
            self.prefixes.insert(namespace.into(), prefix.into());
        }
    }

    fn compile_type(&mut self, settings: &XmlType, operation: &snapshot::SoapOperation) -> Result<Type, String> {
        Ok(match settings {
            XmlType::Any {} => Type::Any,
            XmlType::Simple { kind, words } => {
                Type::Simple { kind: *kind, words: words.iter().map(|word| word.as_str().into()).collect() }
            }
            XmlType::List { item } => {
                self.known(*item, operation)?;
                Type::List(*item)
            }
            XmlType::Union { members } => {
                members.iter().try_for_each(|member| self.known(*member, operation))?;
                Type::Union(members.as_slice().into())
            }
            XmlType::Complex(settings) => {
                let mut attributes = Vec::new();
                for attribute in &settings.attributes {
                    self.known(attribute.kind, operation)?;
                    self.prefix(&attribute.namespace);
                    attributes.push(Attribute {
                        key: format!("@{}", attribute.name).into(),
                        tag: self.tag(&attribute.namespace, &attribute.name),
                        kind: attribute.kind,
                        required: attribute.required,
                        fixed: attribute.fixed.as_deref().map(Box::from),
                    });
                }
                let mut found = Found::default();
                let content = match &settings.content {
                    XmlContent::Empty => Content::Empty,
                    XmlContent::Text(kind) => {
                        self.known(*kind, operation)?;
                        Content::Text(*kind)
                    }
                    XmlContent::Elements(particle) => {
                        Content::Elements(self.particle(particle, operation, &mut found, false)?)
                    }
                };
                if let Content::Elements(particle) = &content {
                    let counts = counts(particle);
                    for (name, members) in &mut found.members {
                        let list = counts.get(&**name).is_some_and(|count| *count > 1);
                        members.iter_mut().for_each(|member| member.list = list);
                    }
                }
                Type::Complex(Box::new(Complex {
                    name: settings.name.clone(),
                    is_abstract: settings.is_abstract,
                    attributes: attributes.into(),
                    any_attribute: settings.any_attribute,
                    content,
                    mixed: settings.mixed,
                    substitutes: Box::default(),
                    members: found.members,
                    order: found.order.into(),
                    has_any: found.any,
                }))
            }
        })
    }

    fn particle(
        &mut self,
        settings: &snapshot::Particle,
        operation: &snapshot::SoapOperation,
        found: &mut Found,
        chosen: bool,
    ) -> Result<Particle, String> {
        let chosen_here = chosen || settings.min == 0 && !matches!(settings.term, Settings::Element(_));
        let mut below = |types: &mut Self, each: &[snapshot::Particle], chosen: bool| {
            each.iter().map(|each| types.particle(each, operation, found, chosen)).collect::<Result<Box<[_]>, _>>()
        };
        let term = match &settings.term {
            Settings::Element(element) => {
                self.known(element.kind, operation)?;
                self.prefix(&element.namespace);
                let element = Arc::new(self.element(element));
                found.add(&element, chosen);
                Term::Element(element)
            }
            Settings::Sequence(each) | Settings::All(each) => Term::Sequence(below(self, each, chosen_here)?),
            Settings::Choice(each) => Term::Choice(below(self, each, true)?),
            Settings::Any => {
                found.any = true;
                Term::Any
            }
        };
        let names = match &term {
            Term::Element(element) => [element.name.clone()].into(),
            Term::Sequence(each) | Term::Choice(each) => {
                each.iter().flat_map(|each| each.names.iter().cloned()).collect()
            }
            Term::Any => Box::default(),
        };
        Ok(Particle { min: settings.min, max: settings.max.unwrap_or(usize::MAX), term, names })
    }
}

/// What a type has, while it is compiled.
#[derive(Default)]
struct Found {
    members: FxHashMap<Box<str>, Vec<Member>>,
    order: Vec<Box<str>>,
    any: bool,
}

impl Found {
    fn add(&mut self, element: &Arc<Element>, chosen: bool) {
        let members = self.members.entry(element.name.clone()).or_default();
        if members.is_empty() {
            self.order.push(element.name.clone());
        }
        members.push(Member { element: element.clone(), list: false, chosen });
    }
}

/// How often each element may stand in a particle; only whether once or more matters.
fn counts(particle: &Particle) -> FxHashMap<&str, usize> {
    let mut all: FxHashMap<&str, usize> = FxHashMap::default();
    match &particle.term {
        Term::Element(element) => {
            all.insert(&element.name, 1);
        }
        Term::Sequence(each) => {
            for (name, count) in each.iter().flat_map(counts) {
                let sum = all.entry(name).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        Term::Choice(each) => {
            for (name, count) in each.iter().flat_map(counts) {
                let most = all.entry(name).or_default();
                *most = (*most).max(count);
            }
        }
        Term::Any => {}
    }
    all.values_mut().for_each(|count| *count = count.saturating_mul(particle.max));
    all
}

pub fn envelope(version: SoapVersion) -> &'static str {
    match version {
        SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
        SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
    }
}

/// A value of an attribute, within double quotes.
pub fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}
