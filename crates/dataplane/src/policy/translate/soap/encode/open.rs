//! What the schema leaves open: as transformations write XML.

use super::given::Given;
use super::{clark, Encoder, Fault, TEXT};
use crate::policy::transform::xml::is_name;
use crate::policy::translate::soap::json::Json;
use crate::policy::translate::soap::types::attribute;

impl Encoder<'_> {
    /// Members that the schema leaves open.
    pub(super) fn others(&mut self, given: &mut Given<'_>) -> Result<(), Fault> {
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
    pub(super) fn anything(&mut self, value: &Json, typed: bool) -> Result<(), Fault> {
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
}
