//! JSON as the content of an element, in the order and with the names of its type.

mod given;
mod named;
mod open;
mod particle;

use self::given::Given;
use super::json::Json;
use super::lexical;
use super::types::{attribute, Complex, Content, Element, Type, Types};
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
