//! The type that a value names in place of the one that the schema does.

use super::{clark, Encoder, Fault, TYPE};
use crate::policy::translate::soap::json::Json;
use crate::policy::translate::soap::types::{Complex, Type};

impl<'a> Encoder<'a> {
    /// Where any type may stand: the one that the value names.
    pub(super) fn named_type(&self, value: &Json) -> Result<Option<(&'a Complex, Box<str>)>, Fault> {
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
    pub(super) fn substitute(
        &self,
        kind: usize,
        complex: &Complex,
        value: &Json,
    ) -> Result<(usize, Option<Box<str>>), Fault> {
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
}
