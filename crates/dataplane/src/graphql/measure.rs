//! How large what a document asks for is, with its fragments spread in.

use super::document::{Directive, Document, Selection};

/// Capped, not overflowing: fragments that spread others twice each grow without bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// Fields within each other, leaves included.
    pub depth: u64,
    pub fields: u64,
    /// Fields that are renamed.
    pub aliases: u64,
    /// Fields of the outermost level.
    pub root_fields: u64,
    pub directives: u64,
    /// It asks what the schema is.
    pub introspection: bool,
}

impl Measure {
    /// Of a document the largest of each: a service looks at all operations and fragments, whichever it executes.
    pub fn of(document: &Document) -> Self {
        let mut fragments: Vec<Measure> = Vec::with_capacity(document.fragments.len());
        for fragment in &document.fragments {
            let own = set(&fragment.selections, &fragments).with(&fragment.directives);
            fragments.push(own);
        }
        let operations = document
            .operations
            .iter()
            .map(|operation| set(&operation.selections, &fragments).with(&operation.directives));
        // A fragment's outermost fields need not be those of any operation.
        let alone = fragments.iter().map(|fragment| Measure { root_fields: 0, ..*fragment });
        operations.chain(alone).fold(Self::default(), Self::largest)
    }

    fn with(mut self, directives: &[Directive]) -> Self {
        self.directives = self.directives.saturating_add(directives.len() as u64);
        self
    }

    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            root_fields: self.root_fields.saturating_add(other.root_fields),
            directives: self.directives.saturating_add(other.directives),
            introspection: self.introspection || other.introspection,
        }
    }

    fn largest(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            fields: self.fields.max(other.fields),
            aliases: self.aliases.max(other.aliases),
            root_fields: self.root_fields.max(other.root_fields),
            directives: self.directives.max(other.directives),
            introspection: self.introspection || other.introspection,
        }
    }
}

fn set(selections: &[Selection], fragments: &[Measure]) -> Measure {
    selections.iter().map(|selection| one(selection, fragments)).fold(Measure::default(), Measure::beside)
}

fn one(selection: &Selection, fragments: &[Measure]) -> Measure {
    match selection {
        Selection::Spread { fragment, directives } => fragments[*fragment].with(directives),
        Selection::Inline { directives, selections, .. } => set(selections, fragments).with(directives),
        Selection::Field(field) => {
            let below = set(&field.selections, fragments).with(&field.directives);
            Measure {
                depth: below.depth.saturating_add(1),
                fields: below.fields.saturating_add(1),
                aliases: below.aliases.saturating_add(field.aliased.into()),
                root_fields: 1,
                introspection: below.introspection || is_introspection(&field.name),
                ..below
            }
        }
    }
}

/// `__typename` says nothing that an answer does not say anyway. `_service` is the same question in a federation.
pub fn is_introspection(field: &str) -> bool {
    matches!(field, "__schema" | "__type" | "_service")
}
