//! XML of a service as a tree whose names have their namespaces. Bounded in depth and in elements; there is no document
//! type, so nothing is declared, fetched or expanded.

use std::rc::Rc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, QName, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

/// Elements within each other.
pub const DEPTH: usize = 64;
/// Of one message.
pub const ELEMENTS: usize = 100_000;

pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XMLNS: &[u8] = b"xmlns";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Empty: none.
    pub namespace: Rc<str>,
    pub local: Rc<str>,
}

impl Name {
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        &*self.namespace == namespace && &*self.local == local
    }
}

#[derive(Debug)]
pub struct Element {
    pub name: Name,
    /// Without declarations of namespaces and without those of `xsi`.
    pub attributes: Vec<(Name, String)>,
    /// `xsi:type`.
    pub kind: Option<Name>,
    /// `xsi:nil`.
    pub is_nil: bool,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn first(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name.is(namespace, local))
    }
}

/// The root of a document.
pub fn parse(text: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut names = Names::default();
    let (mut open, mut root, mut count): (Vec<Element>, Option<Element>, usize) = (Vec::new(), None, 0);
    loop {
        let at = reader.buffer_position();
        let malformed = || format!("it is not XML at byte {at}");
        let event = reader.read_event().map_err(|_| malformed())?;
        let mut put = |text: &str, blank: bool| match open.last_mut() {
            Some(element) => {
                element.text.push_str(text);
                Ok(())
            }
            // Outside of the root only white space may stand.
            None if blank && text.trim().is_empty() => Ok(()),
            None => Err(malformed()),
        };
        match event {
            Event::Start(start) => {
                count += 1;
                if open.is_empty() && root.is_some() {
                    return Err(malformed());
                }
                if open.len() >= DEPTH {
                    return Err(format!("it is nested deeper than {DEPTH} levels"));
                }
                if count > ELEMENTS {
                    return Err(format!("it has more than {ELEMENTS} elements"));
                }
                open.push(element(&start, reader.resolver(), &mut names).ok_or_else(malformed)?);
            }
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err(malformed()) };
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => root = Some(element),
                }
            }
            Event::Text(part) => put(&part.xml10_content().map_err(|_| malformed())?, true)?,
            Event::CData(part) => put(&part.xml10_content().map_err(|_| malformed())?, false)?,
            Event::GeneralRef(reference) => {
                let char = reference.resolve_char_ref().map_err(|_| malformed())?;
                let named =
                    || reference.decode().ok().and_then(|name| quick_xml::escape::resolve_predefined_entity(&name));
                let text = char.map(String::from).or_else(|| named().map(str::to_owned));
                put(&text.ok_or_else(|| "it names an entity that XML does not have".to_owned())?, false)?;
            }
            Event::DocType(_) => return Err("it has a document type, which is not taken".to_owned()),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
    root.filter(|_| open.is_empty()).ok_or_else(|| "it is not XML: it ends too early".to_owned())
}

/// Most names of a document are the same few.
#[derive(Default)]
struct Names(rustc_hash::FxHashSet<Rc<str>>);

impl Names {
    fn of(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let name: Rc<str> = text.into();
        self.0.insert(name.clone());
        name
    }

    fn resolved(&mut self, namespace: &ResolveResult<'_>, local: &[u8]) -> Option<Name> {
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => std::str::from_utf8(namespace.0).ok()?,
            ResolveResult::Unbound => "",
            ResolveResult::Unknown(_) => return None,
        };
        Some(Name { namespace: self.of(namespace), local: self.of(std::str::from_utf8(local).ok()?) })
    }
}

fn element(start: &BytesStart<'_>, resolver: &NamespaceResolver, names: &mut Names) -> Option<Element> {
    let (namespace, local) = resolver.resolve_element(start.name());
    let name = names.resolved(&namespace, local.into_inner())?;
    let mut element =
        Element { name, attributes: Vec::new(), kind: None, is_nil: false, children: Vec::new(), text: String::new() };
    // Twice the same attribute is an error of the library's.
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        if attribute.key.into_inner() == XMLNS || attribute.key.prefix().is_some_and(|prefix| prefix.is_xmlns()) {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        let (namespace, local) = resolver.resolve_attribute(attribute.key);
        let name = names.resolved(&namespace, local.into_inner())?;
        match &*name.local {
            "type" if &*name.namespace == XSI => {
                let (namespace, local) = resolver.resolve_element(QName(value.trim().as_bytes()));
                element.kind = names.resolved(&namespace, local.into_inner());
            }
            "nil" if &*name.namespace == XSI => element.is_nil = matches!(value.trim(), "true" | "1"),
            _ if &*name.namespace == XSI => {}
            _ => element.attributes.push((name, value.into_owned())),
        }
    }
    Some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_namespaces() {
        let text = "<a xmlns='urn:a' xmlns:b='urn:b' xmlns:i='http://www.w3.org/2001/XMLSchema-instance'>\
                    <b:c k='1' b:k='2' i:type='b:T'>x &lt;&#233;<![CDATA[<]]></b:c><d xmlns='' i:nil='1'/></a>";
        let root = parse(text).expect("XML");
        assert!(root.name.is("urn:a", "a"));
        let first = root.first("urn:b", "c").expect("an element");
        assert_eq!(first.text, "x <é<");
        assert!(first.kind.as_ref().is_some_and(|kind| kind.is("urn:b", "T")));
        let attributes: Vec<_> =
            first.attributes.iter().map(|(name, value)| (&*name.namespace, value.as_str())).collect();
        assert_eq!(attributes, [("", "1"), ("urn:b", "2")]);
        assert!(root.first("", "d").is_some_and(|nil| nil.is_nil));
    }

    #[test]
    fn what_could_harm_is_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY b \"x\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>",
            "<a>&lol;</a>",
            "<p:a/>",
            "<a/><b/>",
            "<a>",
            "x<a/>",
            "<a b='1' b='2'/>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "<a>".repeat(DEPTH + 1), "</a>".repeat(DEPTH + 1));
        assert!(parse(&deep).expect_err("refused").contains("nested"));
        let wide = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS));
        assert!(parse(&wide).expect_err("refused").contains("elements"));
    }
}
