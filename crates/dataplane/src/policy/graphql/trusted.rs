//! Documents that the configuration knows: files with operations, and manifests as tools write them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::known::Known;
use super::remembered;
use super::rules::Rules;
use crate::error::Error;
use crate::graphql::document::fingerprint;
use crate::policy::Context;
use crate::snapshot;

#[derive(Default)]
pub struct Trusted {
    by_id: FxHashMap<Box<str>, Entry>,
    /// By what is the same for texts that differ in spaces, commas and comments only.
    by_text: FxHashMap<[u8; 32], Arc<Known>>,
    /// Others are refused.
    pub only: bool,
}

#[derive(Clone)]
pub struct Entry {
    pub known: Arc<Known>,
    /// The operation that is meant where a request names none.
    pub operation: Option<Box<str>>,
}

impl Trusted {
    pub fn new(
        settings: &snapshot::TrustedDocuments,
        rules: &Rules,
        context: &Context<'_>,
    ) -> Result<Self, Vec<String>> {
        let documents = context.documents.borrow();
        let mut trusted = Self { only: settings.only, ..Self::default() };
        let mut wrong = Vec::new();
        for name in &settings.files {
            let Some(files) = documents.get(name)?.as_object() else {
                wrong.push(format!("documents: '{name}' is no map of files"));
                continue;
            };
            for (file, content) in files {
                let added = match content {
                    Value::String(text) => trusted.add(text, None, rules),
                    manifest => trusted.add_manifest(manifest, rules),
                };
                if let Err(messages) = added {
                    wrong.extend(messages.iter().map(|message| format!("documents: {file}: {message}")));
                }
            }
        }
        match wrong.is_empty() {
            true => Ok(trusted),
            false => Err(wrong),
        }
    }

    /// A list of operations with `id` and `body`, or a map from id to document.
    fn add_manifest(&mut self, manifest: &Value, rules: &Rules) -> Result<(), Vec<String>> {
        let no_manifest = || vec!["it is neither a list of operations nor a map from ids to documents".to_owned()];
        let within = |id: &str, wrong: Vec<String>| -> Vec<String> {
            wrong.iter().map(|message| format!("{id}: {message}")).collect()
        };
        let members = manifest.as_object().ok_or_else(no_manifest)?;
        if let Some(operations) = members.get("operations") {
            for operation in operations.as_array().ok_or_else(no_manifest)? {
                let member = |name: &str| operation.get(name).and_then(Value::as_str);
                let both = member("id").zip(member("body"));
                let (id, body) = both.ok_or_else(|| vec!["an operation has no id or no body".to_owned()])?;
                self.add(body, Some(id), rules).map_err(|wrong| within(id, wrong))?;
            }
            return Ok(());
        }
        for (id, body) in members {
            let body = body.as_str().ok_or_else(no_manifest)?;
            self.add(body, Some(id), rules).map_err(|wrong| within(id, wrong))?;
        }
        Ok(())
    }

    fn add(&mut self, text: &str, id: Option<&str>, rules: &Rules) -> Result<(), Vec<String>> {
        let known = Arc::new(Known::new(text, rules).map_err(told)?);
        let mut ids: Vec<(Box<str>, Option<Box<str>>)> =
            vec![(remembered::written(&remembered::name(text)).into(), None)];
        ids.extend(id.map(|id| (id.into(), None)));
        let names = known.document.operations.iter().filter_map(|operation| operation.name.clone());
        ids.extend(names.map(|name| (name.clone(), Some(name))));
        for (id, operation) in ids {
            let other = self.by_id.insert(id.clone(), Entry { known: known.clone(), operation });
            if other.is_some_and(|other| other.known.text != known.text) {
                return Err(vec![format!("another document has the id or name {id} too")]);
            }
        }
        let tokens = usize::try_from(rules.bounds.tokens).unwrap_or(usize::MAX);
        if let Some(fingerprint) = fingerprint(text, tokens) {
            self.by_text.insert(fingerprint, known);
        }
        Ok(())
    }

    /// By an id of a manifest, the SHA-256 of the text (also as `sha256:…`), or an operation's name.
    pub fn by_id(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id).or_else(|| self.by_id.get(id.strip_prefix("sha256:")?))
    }

    pub fn by_text(&self, text: &str, tokens: u64) -> Option<&Arc<Known>> {
        if self.by_text.is_empty() {
            return None;
        }
        self.by_text.get(&fingerprint(text, usize::try_from(tokens).unwrap_or(usize::MAX))?)
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Of the operations that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_id.values().filter_map(|entry| entry.operation.as_deref())
    }
}

/// For whoever wrote the document: all faults, with their places.
fn told(error: Error) -> Vec<String> {
    if error.faults().is_empty() {
        return vec![error.detail];
    }
    let one = |told: &Value| {
        let place = &told["locations"][0];
        let message = told["message"].as_str().unwrap_or_default();
        match (place["line"].as_u64(), place["column"].as_u64()) {
            (Some(line), Some(column)) => format!("line {line}, column {column}: {message}"),
            _ => message.to_owned(),
        }
    };
    error.faults().iter().map(one).collect()
}
