//! The variables of a stored operation: from expressions, or from what in the request has their name; converted to their
//! types, since paths and queries hold nothing but text.

use std::collections::BTreeMap;

use http::request::Parts;
use http_body::Body as _;
use serde_json::{json, Map, Number, Value as Json};
use stagedoor_expression::{Template, Value};

use crate::described;
use crate::error::{Error, Kind};
use crate::evaluation::{compile, evaluate};
use crate::exchange::Exchange;
use crate::graphql::document::Operation;
use crate::graphql::value::TypeRef;
use crate::policy::validate::{json as strict, media};
use crate::protocol::body::Body;
use crate::worker::Worker;

pub struct Variables {
    variables: Vec<Variable>,
    /// Some expression looks at the content, or some variable may be in it.
    sees_body: bool,
}

struct Variable {
    name: Box<str>,
    ty: TypeRef,
    has_default: bool,
    /// None: what has its name.
    from: Option<Template>,
}

impl Variables {
    pub fn new(operation: &Operation, settings: &BTreeMap<String, String>) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        for name in settings.keys() {
            if !operation.variables.iter().any(|variable| *variable.name == **name) {
                wrong.push(format!("variables: '{name}': the operation has no such variable"));
            }
        }
        let mut variables = Vec::new();
        for variable in &operation.variables {
            let from = settings.get(&*variable.name).map(|text| compile(text)).transpose();
            match from {
                Ok(from) => variables.push(Variable {
                    name: variable.name.clone(),
                    ty: variable.ty.clone(),
                    has_default: variable.default.is_some(),
                    from,
                }),
                Err(message) => wrong.push(format!("variables: '{}': {message}", variable.name)),
            }
        }
        let named = variables.iter().any(|variable| variable.from.is_none());
        let sees_body = named || settings.values().any(|text| text.contains("body"));
        match wrong.is_empty() {
            true => Ok(Self { variables, sees_body }),
            false => Err(wrong),
        }
    }

    pub fn describe(&self) -> Json {
        let types = self.variables.iter().map(|variable| (variable.name.to_string(), variable.ty.to_string().into()));
        Json::Object(types.collect::<Map<_, _>>())
    }

    /// The request as expressions see it. A content is read where it is needed, and must then be JSON.
    pub async fn request(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &mut Body,
        most: usize,
    ) -> Result<Value, Error> {
        let mut content = Value::Null;
        if self.sees_body && !body.is_end_stream() {
            let declared = media::declared(&head.headers).unwrap_or_default();
            let is_json = declared == "application/json" || declared.ends_with("+json");
            if !is_json || media::is_coded(&head.headers) {
                let detail = "Here the request's content is JSON, without a content coding";
                return Err(Error::new(Kind::UnsupportedMediaType, detail));
            }
            let whole = body.buffer(most).await?;
            if !whole.is_empty() {
                let invalid = |why: String| Error::new(Kind::InvalidBody, format!("The request's content {why}"));
                strict::parse(&whole).map_err(invalid)?;
                content = stagedoor_expression::json::parse(&whole).map_err(invalid)?;
            }
        }
        described::describe(exchange, &head.headers, content)
    }

    /// All faults at once.
    pub async fn values(&self, worker: &Worker, request: &Value) -> Result<Json, Error> {
        let mut values = Map::new();
        let mut faults = Vec::new();
        for variable in &self.variables {
            let (found, place) = match &variable.from {
                Some(template) => {
                    let failed = |cause| {
                        Error::new(Kind::ExpressionFailed, format!("The variable {} could not be made", variable.name))
                            .cause(cause)
                    };
                    (evaluate(worker, template, request).await.map_err(failed)?, None)
                }
                None => named(request, &variable.name),
            };
            let written = stagedoor_expression::json::write(&found);
            let found: Json = serde_json::from_slice(&written).unwrap_or(Json::Null);
            let told = |detail: String| {
                let mut fault = json!({"name": &*variable.name, "detail": detail});
                if let Some(place) = place {
                    fault["in"] = place.into();
                }
                fault
            };
            match convert(found, &variable.ty) {
                Ok(Json::Null) if variable.ty.is_required() && !variable.has_default => {
                    faults.push(told("is required".to_owned()));
                }
                // Left out: the operation's default holds.
                Ok(Json::Null) => {}
                Ok(value) => drop(values.insert(variable.name.to_string(), value)),
                Err(expected) => faults.push(told(format!("must be {expected}"))),
            }
        }
        match faults.is_empty() {
            true => Ok(Json::Object(values)),
            false => {
                let detail = "The request is not as the API describes it";
                Err(Error::new(Kind::RequestInvalid, detail).errors(faults))
            }
        }
    }
}

/// A value of the path, of the query, or a member of the content, in this order.
fn named(request: &Value, name: &str) -> (Value, Option<&'static str>) {
    for (part, place) in [("params", "path"), ("query", "query"), ("body", "body")] {
        let part = request.get(part).filter(|part| matches!(part, Value::Object(_)));
        if let Some(value) = part.and_then(|part| part.get(name)) {
            return (value.clone(), Some(place));
        }
    }
    (Value::Null, None)
}

/// What a type takes of what text means; the error says what it must be. Types that the operation's document does not
/// define (enumerations, inputs, scalars of the service) are the service's to check.
fn convert(value: Json, ty: &TypeRef) -> Result<Json, String> {
    match (ty, value) {
        (_, Json::Null) => Ok(Json::Null),
        (TypeRef::NonNull(inner), value) => convert(value, inner),
        (TypeRef::List(inner), Json::Array(items)) => {
            items.into_iter().map(|item| convert(item, inner)).collect::<Result<_, _>>().map(Json::Array)
        }
        (TypeRef::List(inner), value) => Ok(Json::Array(vec![convert(value, inner)?])),
        (TypeRef::Named(name), value) => match (&**name, value) {
            ("Int", Json::String(text)) => text.parse::<i32>().map(Json::from).map_err(|_| whole()),
            ("Int", Json::Number(number)) => {
                number.as_i64().and_then(|number| i32::try_from(number).ok()).map(Json::from).ok_or_else(whole)
            }
            ("Int", _) => Err(whole()),
            ("Float", Json::String(text)) => {
                let number = text.parse::<f64>().ok().and_then(Number::from_f64);
                number.map(Json::Number).ok_or_else(|| "a number".to_owned())
            }
            ("Float", number @ Json::Number(_)) => Ok(number),
            ("Float", _) => Err("a number".to_owned()),
            ("Boolean", Json::String(text)) => match text.as_str() {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("true or false".to_owned()),
            },
            ("Boolean", value @ Json::Bool(_)) => Ok(value),
            ("Boolean", _) => Err("true or false".to_owned()),
            ("String" | "ID", value @ Json::String(_)) => Ok(value),
            ("String" | "ID", Json::Number(number)) => Ok(number.to_string().into()),
            ("String" | "ID", _) => Err("text".to_owned()),
            (_, value) => Ok(value),
        },
    }
}

fn whole() -> String {
    "a whole number of 32 bits".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_converted_to_what_a_type_is() {
        let named = |name: &str| TypeRef::Named(name.into());
        let list = |name: &str| TypeRef::List(Box::new(TypeRef::NonNull(Box::new(named(name)))));
        for (value, ty, expected) in [
            (json!("7"), named("Int"), Ok(json!(7))),
            (json!(7), named("Int"), Ok(json!(7))),
            (json!("7.5"), named("Int"), Err(whole())),
            (json!("2147483648"), named("Int"), Err(whole())),
            (json!(2_147_483_648_u64), named("Int"), Err(whole())),
            (json!("7.5"), named("Float"), Ok(json!(7.5))),
            (json!("NaN"), named("Float"), Err("a number".to_owned())),
            (json!("true"), named("Boolean"), Ok(json!(true))),
            (json!("yes"), named("Boolean"), Err("true or false".to_owned())),
            (json!(7), named("ID"), Ok(json!("7"))),
            (json!(["a"]), named("ID"), Err("text".to_owned())),
            (json!("7"), list("Int"), Ok(json!([7]))),
            (json!(["1", "2"]), list("Int"), Ok(json!([1, 2]))),
            (json!(["1", "x"]), list("Int"), Err(whole())),
            (json!({"kind": "TEA"}), named("Filter"), Ok(json!({"kind": "TEA"}))),
            (json!(null), named("Int"), Ok(json!(null))),
        ] {
            assert_eq!(convert(value.clone(), &ty), expected, "{value} as {ty}");
        }
    }
}
