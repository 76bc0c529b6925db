//! By which documents are looked at.

use std::sync::Arc;

use serde_json::Value;

use super::bounds::Bounds;
use crate::graphql::cost::{path, Prices};
use crate::graphql::schema::Schema;
use crate::policy::Context;
use crate::snapshot;

pub struct Rules {
    pub bounds: Bounds,
    pub prices: Prices,
    pub schema: Option<Arc<Schema>>,
    /// What the schema does not have passes.
    pub unknown: bool,
}

impl Rules {
    pub fn new(settings: &snapshot::Graphql, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let schema = match &settings.schema {
            None => None,
            Some(name) => schema(name, context).map_err(|faults| wrong.extend(faults)).ok(),
        };
        let cost = &settings.cost;
        for field in cost.fields.keys() {
            if let Some(message) = misnamed(field, schema.as_deref()) {
                wrong.push(format!("cost.fields: '{field}': {message}"));
            }
        }
        let prices = Prices {
            object: cost.object,
            leaf: cost.leaf,
            fields: cost.fields.iter().map(|(field, price)| (field.as_str().into(), *price)).collect(),
            lengths: cost.lengths.iter().map(|text| path(text)).collect(),
            list: cost.list,
        };
        match wrong.is_empty() {
            true => Ok(Self { bounds: Bounds(settings.limits.clone()), prices, schema, unknown: settings.unknown }),
            false => Err(wrong),
        }
    }
}

/// Without a schema only the types of roots are known.
fn misnamed(field: &str, schema: Option<&Schema>) -> Option<&'static str> {
    match (schema, field.split_once('.')) {
        (Some(schema), _) => (!schema.has(field)).then_some("the schema has no such field"),
        (None, Some((owner, _))) if !matches!(owner, "Query" | "Mutation" | "Subscription") => {
            Some("without a schema only fields of Query, Mutation and Subscription are told apart by their type")
        }
        (None, _) => None,
    }
}

/// A schema among the documents; its faults with their places.
pub fn schema(name: &str, context: &Context<'_>) -> Result<Arc<Schema>, Vec<String>> {
    let mut documents = context.documents.borrow_mut();
    let text = documents.get(name)?.as_str().ok_or_else(|| vec![format!("'{name}' is no text")])?;
    let schemas = &mut documents.schemas;
    let parsed = schemas.entry(name.to_owned()).or_insert_with(|| {
        let told = |fault: &crate::graphql::Fault| format!("schema: {name}: {}", fault.told(text));
        Schema::parse(text).map(Arc::new).map_err(|faults| faults.iter().map(told).collect())
    });
    parsed.clone()
}

impl Rules {
    pub fn describe(settings: &snapshot::Graphql) -> Value {
        let (limits, cost) = (&settings.limits, &settings.cost);
        serde_json::json!({
            "schema": settings.schema, "unknown": settings.unknown,
            "max_tokens": limits.tokens, "max_depth": limits.depth, "max_fields": limits.fields,
            "max_aliases": limits.aliases, "max_root_fields": limits.root_fields,
            "max_directives": limits.directives, "max_cost": limits.cost,
            "cost": {
                "object": cost.object, "leaf": cost.leaf, "list_size": cost.list, "lengths": cost.lengths, "fields": cost.fields,
            },
        })
    }
}
