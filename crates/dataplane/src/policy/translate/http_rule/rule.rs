//! The annotation as it stands on a method.

use prost_reflect::prost::Message as _;
use prost_reflect::{MethodDescriptor, Value};

use crate::protocol::protobuf::{Field, Fields, Malformed};

/// A `google.api.HttpRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// `*` is any.
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: String,
    pub(super) response_body: String,
    pub(super) additional: Vec<Rule>,
}

/// The bindings of a method, the first one first. None: it has no annotation.
pub(super) fn of(method: &MethodDescriptor) -> Result<Option<Vec<Rule>>, String> {
    let Some(extension) = method.parent_pool().get_extension_by_name("google.api.http") else { return Ok(None) };
    let options = method.options();
    if !options.has_extension(&extension) {
        return Ok(None);
    }
    let Value::Message(message) = options.get_extension(&extension).into_owned() else {
        return Err("google.api.http is declared in another way than everywhere else".to_owned());
    };
    let mut rule = read(&message.encode_to_vec()).map_err(|Malformed| "google.api.http is malformed".to_owned())?;
    let additional = std::mem::take(&mut rule.additional);
    if additional.iter().any(|rule| !rule.additional.is_empty()) {
        return Err("google.api.http: additional_bindings have additional_bindings of their own".to_owned());
    }
    let rules: Vec<Rule> = std::iter::once(rule).chain(additional).collect();
    match rules.iter().any(|rule| rule.path.is_empty()) {
        true => Err("google.api.http: it names no path".to_owned()),
        false => Ok(Some(rules)),
    }
}

fn read(message: &[u8]) -> Result<Rule, Malformed> {
    let mut rule = Rule::default();
    for field in Fields::of(message) {
        let (number, field) = field?;
        let method = match number {
            2 => "GET",
            3 => "PUT",
            4 => "POST",
            5 => "DELETE",
            6 => "PATCH",
            _ => "",
        };
        match number {
            2..=6 => (rule.method, rule.path) = (method.to_owned(), field.text()?.to_owned()),
            7 => rule.body = field.text()?.to_owned(),
            8 => {
                for part in Fields::of(field.bytes()?) {
                    match part? {
                        (1, part @ Field::Bytes(_)) => rule.method = part.text()?.to_owned(),
                        (2, part @ Field::Bytes(_)) => rule.path = part.text()?.to_owned(),
                        _ => {}
                    }
                }
            }
            11 => rule.additional.push(read(field.bytes()?)?),
            12 => rule.response_body = field.text()?.to_owned(),
            _ => {}
        }
    }
    Ok(rule)
}
