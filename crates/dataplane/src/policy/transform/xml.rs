//! XML 1.0 as a value, and back: elements are members, attributes members whose names begin with `@`, text beside either
//! is `#text`. An element with text alone is a string, an empty one null; several of one name are a list.
//!
//! There is no DTD: a document that brings one is refused, so nothing is declared, fetched or expanded.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use stagedoor_expression::value::TooLarge;
use stagedoor_expression::Value;

/// Elements within each other.
pub const DEPTH: usize = 64;

struct Element {
    name: String,
    /// In the order of the document.
    members: Vec<(String, Value)>,
    text: String,
}

/// A map with the root element's name as its one member.
pub fn read(text: impl AsRef<str>) -> Result<Value, String> {
    let mut reader = Reader::from_str(text.as_ref());
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<(String, Value)> = None;
    let malformed = |at: u64| format!("it is not XML at byte {at}");
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|_| malformed(at))?;
        match event {
            Event::Start(start) => {
                if open.is_empty() && root.is_some() {
                    return Err(malformed(at));
                }
                if open.len() >= DEPTH {
                    return Err(format!("it is nested deeper than {DEPTH} levels"));
                }
                open.push(element(&start).ok_or_else(|| malformed(at))?);
            }
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err(malformed(at)) };
                let name = element.name.clone();
                let value = element.value().map_err(|error| error.to_string())?;
                match open.last_mut() {
                    Some(parent) => parent.members.push((name, value)),
                    None => root = Some((name, value)),
                }
            }
            Event::Text(part) => {
                let part = part.xml10_content().map_err(|_| malformed(at))?;
                put(&mut open, &part).ok_or_else(|| malformed(at))?;
            }
            Event::CData(part) => {
                let part = part.xml10_content().map_err(|_| malformed(at))?;
                put(&mut open, &part).filter(|()| !open.is_empty()).ok_or_else(|| malformed(at))?;
            }
            Event::GeneralRef(reference) => {
                let char = reference.resolve_char_ref().map_err(|_| malformed(at))?;
                let named =
                    || reference.decode().ok().and_then(|name| quick_xml::escape::resolve_predefined_entity(&name));
                let text = char.map(String::from).or_else(|| named().map(str::to_owned));
                let text = text.ok_or_else(|| "it names an entity that XML does not have".to_owned())?;
                put(&mut open, &text).filter(|()| !open.is_empty()).ok_or_else(|| malformed(at))?;
            }
            Event::DocType(_) => return Err("it has a document type, which is not taken".to_owned()),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
        }
    }
    match root.filter(|_| open.is_empty()) {
        Some(root) => Value::object([root]).map_err(|error| error.to_string()),
        None => Err("it is not XML: it ends too early".to_owned()),
    }
}

/// Outside of the root only white space may stand.
fn put(open: &mut [Element], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn element(start: &BytesStart<'_>) -> Option<Element> {
    let name = std::str::from_utf8(start.name().into_inner()).ok()?.to_owned();
    let mut members: Vec<(String, Value)> = Vec::new();
    // Twice the same attribute is an error of the library's.
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let key = std::str::from_utf8(attribute.key.into_inner()).ok()?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).ok()?;
        members.push((format!("@{key}"), Value::string(value)));
    }
    Some(Element { name, members, text: String::new() }).filter(|element| is_name(&element.name))
}

impl Element {
    fn value(mut self) -> Result<Value, TooLarge> {
        let text = self.text.trim();
        if self.members.is_empty() {
            return Ok(if self.text.is_empty() { Value::Null } else { Value::string(self.text) });
        }
        if !text.is_empty() {
            let text = Value::string(text);
            self.members.push(("#text".to_owned(), text));
        }
        let mut grouped: Vec<(String, Vec<Value>)> = Vec::new();
        let mut places = rustc_hash::FxHashMap::default();
        for (name, value) in self.members {
            let place = *places.entry(name.clone()).or_insert(grouped.len());
            match grouped.get_mut(place) {
                Some((_, values)) => values.push(value),
                None => grouped.push((name, vec![value])),
            }
        }
        let members = grouped.into_iter().map(|(name, mut values)| match values.len() {
            1 => Ok((name, values.remove(0))),
            _ => Ok((name, Value::array(values)?)),
        });
        Value::object(members.collect::<Result<Vec<_>, TooLarge>>()?)
    }
}

/// Of a map with one member, which is the root.
pub fn write(value: &Value) -> Result<String, String> {
    let root = match value {
        Value::Object(members) if members.len() == 1 => members.iter().next(),
        _ => None,
    };
    let Some((name, value)) = root.filter(|(_, value)| !matches!(value, Value::Array(_))) else {
        return Err("XML is made of an object with one member, its root".to_owned());
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    append(&mut text, name, value, DEPTH)?;
    Ok(text)
}

fn append(text: &mut String, name: &str, value: &Value, depth: usize) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("it is nested deeper than {DEPTH} levels"));
    };
    if let Value::Array(items) = value {
        return items.iter().try_for_each(|item| append(text, name, item, depth));
    }
    if !is_name(name) {
        return Err(format!("'{name}' cannot be the name of an element"));
    }
    text.push('<');
    text.push_str(name);
    let mut content = String::new();
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (key, value) in members.iter() {
                match key.strip_prefix('@') {
                    Some(attribute) if is_name(attribute) => {
                        text.push_str(&format!(" {attribute}=\"{}\"", escaped(&scalar(value)?)?));
                    }
                    Some(attribute) => return Err(format!("'{attribute}' cannot be the name of an attribute")),
                    None if &**key == "#text" => content.push_str(&escaped(&scalar(value)?)?),
                    None => append(&mut content, key, value, depth)?,
                }
            }
        }
        value => content.push_str(&escaped(&value.to_text())?),
    }
    match content.is_empty() {
        true => text.push_str("/>"),
        false => text.push_str(&format!(">{content}</{name}>")),
    }
    Ok(())
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("an attribute or '#text' holds no list and no object".to_owned()),
        value => Ok(value.to_text()),
    }
}

pub fn escaped(text: &str) -> Result<String, String> {
    // XML 1.0 §2.2.
    let forbidden =
        |char: char| matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if text.contains(forbidden) {
        return Err("it holds a character that XML cannot say".to_owned());
    }
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            char => escaped.push(char),
        }
    }
    Ok(escaped)
}

/// A strict part of XML 1.0 §2.3, prefixes included.
pub fn is_name(name: &str) -> bool {
    let first = |char: char| char.is_alphabetic() || matches!(char, '_' | ':');
    let later = |char: char| char.is_alphanumeric() || matches!(char, '_' | ':' | '-' | '.');
    name.starts_with(first) && name.chars().all(later)
}

#[cfg(test)]
mod tests {
    use stagedoor_expression::json;

    use super::*;

    fn text(xml: &str) -> Result<String, String> {
        read(xml).map(|value| String::from_utf8(json::write(&value)).expect("text"))
    }

    #[test]
    fn documents_and_values_say_the_same() {
        for (xml, json) in [
            ("<a/>", r#"{"a":null}"#),
            ("<?xml version=\"1.0\"?><!-- c --><a>x &lt;&#233;<![CDATA[<b>&]]></a>\n", r#"{"a":"x <é<b>&"}"#),
            ("<a k='v \"q\"'><b>1</b> <c/><b>2</b></a>", r##"{"a":{"@k":"v \"q\"","b":["1","2"],"c":null}}"##),
            (
                "<s:Envelope xmlns:s=\"urn:x\"><s:Body>t<i>u</i></s:Body></s:Envelope>",
                r##"{"s:Envelope":{"@xmlns:s":"urn:x","s:Body":{"i":"u","#text":"t"}}}"##,
            ),
        ] {
            assert_eq!(text(xml).as_deref(), Ok(json), "{xml}");
            let again = write(&json::parse(json.as_bytes()).expect("JSON")).expect("written");
            assert_eq!(text(&again).as_deref(), Ok(json), "{again}");
        }
    }

    #[test]
    fn what_could_harm_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"x\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        assert!(text(bomb).expect_err("refused").contains("document type"));
        assert!(text("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>").is_err());
        assert!(text("<a>&lol;</a>").expect_err("refused").contains("entity"));
        assert!(text("<a b=\"&lol;\"/>").is_err());
        for xml in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "x<a/>",
            "<a/>x",
            "<a b='1' b='2'/>",
            "<a b/>",
            "</a>",
            "<a>&#0;</a>",
            "&lt;",
        ] {
            assert!(text(xml).is_err(), "{xml}");
        }
        let deep = format!("{}{}", "<a>".repeat(DEPTH + 1), "</a>".repeat(DEPTH + 1));
        assert!(text(&deep).expect_err("refused").contains("nested"));
    }

    #[test]
    fn what_xml_cannot_say_is_refused() {
        for json in [
            r#"{"a":1,"b":2}"#,
            "[1]",
            "\"x\"",
            r#"{"a b":1}"#,
            r#"{"a":{"@x y":1}}"#,
            r#"{"a":{"@b":[1]}}"#,
            "{\"a\":\"\\u0001\"}",
            r#"{"a":[1,2]}"#,
        ] {
            assert!(write(&json::parse(json.as_bytes()).expect("JSON")).is_err(), "{json}");
        }
    }
}
