//! JSON as the content of an element, in the order and with the names of its type.

use super::json::Json;
use super::lexical;
use super::types::{attribute, Complex, Content, Element, Particle, Term, Type, Types};
use crate::policy::transform::xml::{escaped, is_name};

/// What is wrong, and where, as a JSON Pointer (RFC 6901).
#[derive(Debug)]
pub struct Fault {
    pub place: String,
    pub what: String,
}

/// The type of a value where it is not the one that the schema names.
pub const TYPE: &str = "@xsi:type";
const TEXT: &str = "#text";

pub struct Encoder<'a> {
    types: &'a Types,
    xml: String,
    /// From the root to the value at hand.
    place: Vec<String>,
}

impl<'a> Encoder<'a> {
    pub fn new(types: &'a Types) -> Self {
        Self { types, xml: String::new(), place: Vec::new() }
    }

    pub fn finish(self) -> String {
        self.xml
    }

    pub fn element(&mut self, element: &Element, value: &Json) -> Result<(), Fault> {
        if *value == Json::Null {
            return match element.nillable {
                true => {
                    self.xml.push_str(&format!("<{} xsi:nil=\"true\"/>", element.tag));
                    Ok(())
                }
                false => Err(self.wrong("expected a value, found null")),
            };
        }
        if let Some(fixed) = &element.fixed {
            if !matches!(value, Json::Text(text) | Json::Number(text) if **text == **fixed) {
                return Err(self.wrong(&format!("expected '{fixed}'")));
            }
        }
        self.xml.push('<');
        self.xml.push_str(&element.tag);
        self.content(element.kind, value)?;
        self.close(&element.tag);
        Ok(())
    }

    fn wrong(&self, what: &str) -> Fault {
        let steps = self.place.iter().map(|step| step.replace('~', "~0").replace('/', "~1"));
        Fault { place: steps.map(|step| format!("/{step}")).collect(), what: what.to_owned() }
    }

    fn within<T>(&mut self, step: String, f: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.place.push(step);
        let outcome = f(self);
        self.place.pop();
        outcome
    }

    /// Attributes, the end of the open tag, and what is within.
    fn content(&mut self, kind: usize, value: &Json) -> Result<(), Fault> {
        let types = self.types;
        match types.get(kind) {
            Type::Complex(complex) => {
                let (index, named) = self.substitute(kind, complex, value)?;
                match types.get(index) {
                    Type::Complex(complex) => {
                        if let Some(tag) = named {
                            self.xml.push_str(&format!(" xsi:type=\"{tag}\""));
                        }
                        self.complex(complex, value)
                    }
                    _ => Ok(()),
                }
            }
            Type::Any => match self.named_type(value)? {
                Some((complex, tag)) => {
                    self.xml.push_str(&format!(" xsi:type=\"{tag}\""));
                    self.complex(complex, value)
                }
                None => self.anything(value, true),
            },
            _ => {
                self.xml.push('>');
                let text = self.simple(kind, value)?;
                self.text(&text)
            }
        }
    }

    /// Where any type may stand: the one that the value names.
    fn named_type(&self, value: &Json) -> Result<Option<(&'a Complex, Box<str>)>, Fault> {
        let Json::Object(members) = value else { return Ok(None) };
        let Some((_, named)) = members.iter().find(|(name, _)| name == TYPE) else { return Ok(None) };
        let unknown = || self.wrong(&format!("'{TYPE}' names no type of the service's"));
        let Json::Text(text) = named else { return Err(unknown()) };
        let (namespace, local) = clark(text);
        let found = self.types.find(namespace, local).map(|index| self.types.get(index));
        match found {
            Some(Type::Complex(complex)) => match &complex.name {
                Some(name) => Ok(Some((complex, self.types.tag(&name.namespace, &name.local)))),
                None => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    /// The type that the value names, and its tag, else the one that the schema names.
    fn substitute(&self, kind: usize, complex: &Complex, value: &Json) -> Result<(usize, Option<Box<str>>), Fault> {
        let named = match value {
            Json::Object(members) => members.iter().find(|(name, _)| name == TYPE).map(|(_, value)| value),
            _ => None,
        };
        let choices = || {
            let names = complex.substitutes.iter().filter_map(|index| match self.types.get(*index) {
                Type::Complex(complex) => complex.name.as_ref().map(|name| name.local.as_str()),
                _ => None,
            });
            names.take(20).collect::<Vec<_>>().join(", ")
        };
        match named {
            None if complex.is_abstract => {
                Err(self.wrong(&format!("expected '{TYPE}', which is one of {}", choices())))
            }
            None => Ok((kind, None)),
            Some(Json::Text(text)) => {
                let (namespace, local) = clark(text);
                let fits = |index: &&usize| match self.types.get(**index) {
                    Type::Complex(complex) => complex.name.as_ref().is_some_and(|name| {
                        name.local == local && namespace.is_none_or(|namespace| name.namespace == namespace)
                    }),
                    _ => false,
                };
                let found = complex.substitutes.iter().find(fits);
                let found = found.ok_or_else(|| self.wrong(&format!("'{TYPE}' is none of {}", choices())))?;
                let tag = match self.types.get(*found) {
                    Type::Complex(complex) => {
                        complex.name.as_ref().map(|name| self.types.tag(&name.namespace, &name.local))
                    }
                    _ => None,
                };
                Ok((*found, tag))
            }
            Some(_) => Err(self.wrong(&format!("'{TYPE}' is text"))),
        }
    }

    fn complex(&mut self, complex: &Complex, value: &Json) -> Result<(), Fault> {
        let nothing = Vec::new();
        let members = match (value, &complex.content) {
            (Json::Object(members), _) => members,
            (scalar, Content::Text(_)) if !matches!(scalar, Json::List(_)) => {
                return self.complex_text(complex, &nothing, Some(scalar));
            }
            (value, _) => return Err(self.wrong(&format!("expected an object, found {}", value.kind()))),
        };
        if let Some((name, _)) = members.iter().enumerate().find_map(|(index, (name, _))| {
            members[..index].iter().any(|(before, _)| before == name).then_some((name, index))
        }) {
            return self.within(name.clone(), |this| Err(this.wrong("it is given twice")));
        }
        if let Content::Text(_) = &complex.content {
            if let Some((name, _)) = members.iter().find(|(name, _)| name != TEXT && !name.starts_with('@')) {
                return self.within(name.clone(), |this| Err(this.wrong("it is not known here")));
            }
            let text = members.iter().find(|(name, _)| name == TEXT).map(|(_, value)| value);
            return self.complex_text(complex, members, text);
        }
        self.attributes(complex, members)?;
        self.xml.push('>');
        let mut given = Given::new(complex, members);
        if let Some(Json::Text(text)) = given.text.filter(|_| complex.mixed) {
            self.text(text)?;
        }
        if let Content::Elements(particle) = &complex.content {
            self.particle(particle, &mut given)?;
        }
        self.nothing_left(complex, &given)
    }

    fn complex_text(
        &mut self,
        complex: &Complex,
        members: &[(String, Json)],
        text: Option<&Json>,
    ) -> Result<(), Fault> {
        let Content::Text(kind) = complex.content else { return Ok(()) };
        self.attributes(complex, members)?;
        self.xml.push('>');
        let text = text.ok_or_else(|| self.wrong(&format!("'{TEXT}' is required")))?;
        let text = self.simple(kind, text)?;
        self.text(&text)
    }

    fn attributes(&mut self, complex: &Complex, members: &[(String, Json)]) -> Result<(), Fault> {
        for known in &complex.attributes {
            let value = members.iter().find(|(name, _)| **name == *known.key).map(|(_, value)| value);
            let text = match (value.filter(|value| **value != Json::Null), &known.fixed) {
                (Some(value), _) => self.within(known.key.to_string(), |this| this.simple(known.kind, value))?,
                (None, Some(fixed)) if known.required => fixed.to_string(),
                (None, _) if known.required => {
                    return self.within(known.key.to_string(), |this| Err(this.wrong("it is required")));
                }
                (None, _) => continue,
            };
            let text = escaped(&text).map_err(|what| self.wrong(&what))?;
            self.xml.push_str(&format!(" {}=\"{}\"", known.tag, attribute_space(&text)));
        }
        for (name, value) in members {
            let Some(local) = name.strip_prefix('@') else { continue };
            if name == TYPE || complex.attributes.iter().any(|known| *known.key == **name) {
                continue;
            }
            match value {
                Json::Text(text) if complex.any_attribute && is_name(local) && !local.contains(':') => {
                    self.xml.push_str(&format!(" {local}=\"{}\"", attribute(text)));
                }
                _ => return self.within(name.clone(), |this| Err(this.wrong("it is not known here"))),
            }
        }
        Ok(())
    }

    fn particle(&mut self, particle: &Particle, given: &mut Given<'_>) -> Result<(), Fault> {
        match &particle.term {
            Term::Element(element) => self.elements(element, particle, given),
            Term::Any => self.others(given),
            Term::Sequence(each) => {
                for turn in 0..particle.max {
                    let before = given.taken();
                    if turn >= particle.min.min(1) && !given.remains(particle) {
                        break;
                    }
                    each.iter().try_for_each(|each| self.particle(each, given))?;
                    // What takes nothing would do so for ever.
                    if given.taken() == before {
                        break;
                    }
                }
                Ok(())
            }
            Term::Choice(each) => {
                for turn in 0..particle.max {
                    let before = given.taken();
                    match each.iter().find(|each| given.remains(each)) {
                        Some(chosen) => self.particle(chosen, given)?,
                        None if turn < particle.min && !each.iter().any(is_emptiable) => {
                            let names: Vec<&str> = particle.names.iter().take(20).map(|name| &**name).collect();
                            return Err(self.wrong(&format!("one of {} is required", names.join(", "))));
                        }
                        None => {
                            // An element of any kind may be what is chosen.
                            let any = each.iter().find(|each| matches!(each.term, Term::Any));
                            return any.map_or(Ok(()), |any| self.particle(any, given));
                        }
                    }
                    if given.taken() == before {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    fn elements(&mut self, element: &Element, particle: &Particle, given: &mut Given<'_>) -> Result<(), Fault> {
        let mut count = 0;
        while count < particle.max {
            let Some((value, index)) = given.next(&element.name) else { break };
            if *value == Json::Null && !element.nillable && particle.min == 0 {
                // As if it were not there.
                continue;
            }
            self.place.push(element.name.to_string());
            let listed = index.map(|index| self.place.push(index.to_string()));
            self.element(element, value)?;
            listed.iter().for_each(|()| drop(self.place.pop()));
            self.place.pop();
            count += 1;
        }
        if count >= particle.min {
            return Ok(());
        }
        match &element.fixed {
            Some(fixed) if count == 0 => self.element(element, &Json::Text(fixed.to_string())),
            _ => self.within(element.name.to_string(), |this| {
                Err(this.wrong(&match particle.min {
                    1 => "it is required".to_owned(),
                    least => format!("at least {least} are required, there are {count}"),
                }))
            }),
        }
    }

    /// Members that the schema leaves open.
    fn others(&mut self, given: &mut Given<'_>) -> Result<(), Fault> {
        for (name, value) in std::mem::take(&mut given.others) {
            let values = match value {
                Json::List(items) => items.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                self.within(name.to_owned(), |this| this.other(name, value))?;
            }
        }
        Ok(())
    }

    fn other(&mut self, name: &str, value: &Json) -> Result<(), Fault> {
        let (namespace, local) = clark(name);
        if !is_name(local) || local.contains(':') {
            return Err(self.wrong("it cannot be the name of an element"));
        }
        let declared = namespace.map_or(String::new(), |namespace| format!(" xmlns=\"{}\"", attribute(namespace)));
        self.xml.push_str(&format!("<{local}{declared}"));
        self.anything(value, false)?;
        self.close(local);
        Ok(())
    }

    /// Without a type of its own: as transformations write XML. `typed`: a reader is told what a scalar is.
    fn anything(&mut self, value: &Json, typed: bool) -> Result<(), Fault> {
        let kind = match value {
            Json::Bool(_) => "boolean",
            Json::Number(text) if text.contains(['e', 'E']) => "double",
            Json::Number(text) if text.contains('.') => "decimal",
            Json::Number(_) => "integer",
            _ => "string",
        };
        let open = |typed: bool| if typed { format!(" xsi:type=\"xs:{kind}\">") } else { ">".to_owned() };
        match value {
            Json::Null => self.xml.push_str(" xsi:nil=\"true\">"),
            Json::Bool(value) => self.xml.push_str(&format!("{}{value}", open(typed))),
            Json::Number(text) => self.xml.push_str(&format!("{}{text}", open(typed))),
            Json::Text(text) => {
                self.xml.push_str(&open(typed));
                return self.text(text);
            }
            Json::List(_) => return Err(self.wrong("a list within a list has no form in XML")),
            Json::Object(members) => {
                for (name, value) in members.iter().filter(|(name, _)| name.starts_with('@')) {
                    match value {
                        Json::Text(text) if is_name(&name[1..]) && !name.contains(':') => {
                            self.xml.push_str(&format!(" {}=\"{}\"", &name[1..], attribute(text)));
                        }
                        _ => return self.within(name.clone(), |this| Err(this.wrong("it is no attribute of text"))),
                    }
                }
                self.xml.push('>');
                for (name, value) in members.iter().filter(|(name, _)| !name.starts_with('@')) {
                    let values = match value {
                        Json::Text(text) if name == TEXT => {
                            self.text(text)?;
                            continue;
                        }
                        Json::List(items) => items.as_slice(),
                        value => std::slice::from_ref(value),
                    };
                    for value in values {
                        self.within(name.clone(), |this| this.other(name, value))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn nothing_left(&self, complex: &Complex, given: &Given<'_>) -> Result<(), Fault> {
        let known = || {
            let names: Vec<&str> = complex.order.iter().take(20).map(|name| &**name).collect();
            match names.is_empty() {
                true => "it is not known here: nothing is".to_owned(),
                false => format!("it is not known here; known are {}", names.join(", ")),
            }
        };
        let at = |name: &str, what: String| {
            let mut fault = self.wrong(&what);
            fault.place.push('/');
            fault.place.push_str(&name.replace('~', "~0").replace('/', "~1"));
            Err(fault)
        };
        if let Some((name, _)) = given.others.first() {
            return at(name, known());
        }
        if given.text.is_some() && !complex.mixed {
            return at(TEXT, known());
        }
        match given.members.iter().find(|member| member.taken < member.values.len()) {
            None => Ok(()),
            Some(member) if member.taken == 0 => at(member.name, "it does not go together with the others".to_owned()),
            Some(member) => at(member.name, format!("there are more than {}", member.taken)),
        }
    }

    fn simple(&self, kind: usize, value: &Json) -> Result<String, Fault> {
        self.simple_text(kind, value).map_err(|expected| {
            let found = match value {
                Json::Text(_) => String::new(),
                value => format!(", found {}", value.kind()),
            };
            self.wrong(&format!("expected {expected}{found}"))
        })
    }

    fn simple_text(&self, kind: usize, value: &Json) -> Result<String, String> {
        match self.types.get(kind) {
            Type::Simple { kind, words } => {
                let text = lexical::encode(*kind, value).map_err(str::to_owned)?;
                match words.is_empty() || words.iter().any(|word| **word == *text) {
                    true => Ok(text.into_owned()),
                    false => {
                        let words: Vec<&str> = words.iter().take(20).map(|word| &**word).collect();
                        Err(format!("one of {}", words.join(", ")))
                    }
                }
            }
            Type::List(item) => {
                let items = match value {
                    Json::List(items) => items.as_slice(),
                    value => std::slice::from_ref(value),
                };
                let texts: Result<Vec<String>, String> =
                    items.iter().map(|item_value| self.simple_text(*item, item_value)).collect();
                Ok(texts?.join(" "))
            }
            Type::Union(members) => {
                let mut outcomes = members.iter().map(|member| self.simple_text(*member, value));
                let first = outcomes.find(Result::is_ok);
                first.unwrap_or_else(|| Err("a value of one of its types".to_owned()))
            }
            Type::Any => match value {
                Json::Text(text) | Json::Number(text) => Ok(text.clone()),
                Json::Bool(value) => Ok(value.to_string()),
                _ => Err("a scalar".to_owned()),
            },
            Type::Complex(_) => Err("a scalar".to_owned()),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        let text = escaped(text).map_err(|what| self.wrong(&what))?;
        self.xml.push_str(&text);
        Ok(())
    }

    fn close(&mut self, tag: &str) {
        match self.xml.ends_with('>') && !self.xml.ends_with("/>") && self.is_open(tag) {
            // Nothing has come since its tag was opened.
            true => {
                self.xml.pop();
                self.xml.push_str("/>");
            }
            false => self.xml.push_str(&format!("</{tag}>")),
        }
    }

    fn is_open(&self, tag: &str) -> bool {
        let last = self.xml.rfind('<').map_or("", |at| &self.xml[at + 1..]);
        !last.starts_with('/') && last.strip_prefix(tag).is_some_and(|rest| rest.starts_with(['>', ' ']))
    }
}

fn is_emptiable(particle: &Particle) -> bool {
    particle.min == 0
        || match &particle.term {
            Term::Element(_) => false,
            Term::Any => true,
            Term::Sequence(each) => each.iter().all(is_emptiable),
            Term::Choice(each) => each.iter().any(is_emptiable),
        }
}

/// White space that a reader of attributes would make blanks of.
fn attribute_space(text: &str) -> String {
    text.replace('\n', "&#10;").replace('\t', "&#9;")
}

/// `{namespace}local`.
fn clark(name: &str) -> (Option<&str>, &str) {
    match name.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((namespace, local)) => (Some(namespace), local),
        None => (None, name),
    }
}

/// The members of an object, and how much of each has been written.
struct Given<'j> {
    members: Vec<GivenMember<'j>>,
    text: Option<&'j Json>,
    /// Those that the type does not name.
    others: Vec<(&'j str, &'j Json)>,
}

struct GivenMember<'j> {
    name: &'j str,
    values: &'j [Json],
    is_list: bool,
    taken: usize,
}

impl<'j> Given<'j> {
    fn new(complex: &Complex, members: &'j [(String, Json)]) -> Self {
        let mut given = Self { members: Vec::new(), text: None, others: Vec::new() };
        for (name, value) in members {
            let known = complex.members.get(name.as_str()).and_then(|members| members.first());
            match known {
                Some(member) => {
                    let (values, is_list) = match value {
                        Json::List(items) if member.list => (items.as_slice(), true),
                        value => (std::slice::from_ref(value), false),
                    };
                    given.members.push(GivenMember { name, values, is_list, taken: 0 });
                }
                None if name == TEXT => given.text = Some(value),
                None if name.starts_with('@') => {}
                None => given.others.push((name, value)),
            }
        }
        given
    }

    fn next(&mut self, name: &str) -> Option<(&'j Json, Option<usize>)> {
        let member = self.members.iter_mut().find(|member| member.name == name)?;
        let value = member.values.get(member.taken)?;
        member.taken += 1;
        Some((value, member.is_list.then_some(member.taken - 1)))
    }

    fn taken(&self) -> usize {
        self.members.iter().map(|member| member.taken).sum()
    }

    fn remains(&self, particle: &Particle) -> bool {
        let left = |member: &GivenMember<'_>| member.taken < member.values.len();
        self.members.iter().any(|member| left(member) && particle.names.iter().any(|name| **name == *member.name))
    }
}
