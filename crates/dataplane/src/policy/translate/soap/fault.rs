//! A fault of a service as an error: SOAP 1.1 §4.4, SOAP 1.2 part 1 §5.4.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::decode::Decoder;
use super::document::Element;
use super::types::Element as Declared;
use crate::error::{Error, Kind};

/// Of the reason that a client is told.
pub const REASON_CHARACTERS: usize = 1000;

pub struct Fault {
    pub error: Error,
    pub status: u16,
}

struct Parts<'e> {
    /// Local names, from the general to the special.
    codes: Vec<String>,
    reason: &'e str,
    actor: Option<&'e str>,
    detail: Option<&'e Element>,
}

pub fn read(
    fault: &Element,
    envelope: &str,
    decoder: &Decoder<'_>,
    declared: &[Declared],
    statuses: &BTreeMap<String, u16>,
) -> Fault {
    let parts = match envelope {
        "http://www.w3.org/2003/05/soap-envelope" => parts_12(fault, envelope),
        _ => parts_11(fault),
    };
    let details = parts.detail.map_or(&[][..], |detail| detail.children.as_slice());
    let names = parts.codes.iter().map(String::as_str).chain(details.iter().map(|child| &*child.name.local));
    // What is more special has the last word.
    let status = names.filter_map(|name| statuses.get(name)).next_back().copied();
    let status = status.unwrap_or_else(|| match parts.codes.first().map(String::as_str) {
        Some("Client" | "Sender") => 400,
        _ => 502,
    });
    let mut told = json!({});
    if let Some(code) = parts.codes.first() {
        told["code"] = code.as_str().into();
    }
    if parts.codes.len() > 1 {
        told["subcodes"] = parts.codes[1..].into();
    }
    if let Some(actor) = parts.actor {
        told["actor"] = actor.into();
    }
    if let Some(detail) = parts.detail.and_then(|detail| detail_of(detail, decoder, declared)) {
        told["detail"] = detail;
    }
    let reason: String = parts.reason.trim().chars().take(REASON_CHARACTERS).collect();
    let reason = if reason.is_empty() { "The service answered with a fault".to_owned() } else { reason };
    Fault { error: Error::new(Kind::SoapFault, reason).errors(vec![told]), status }
}

/// Its children have no namespace; some services give them one.
fn parts_11(fault: &Element) -> Parts<'_> {
    let child = |name: &str| fault.children.iter().find(|child| &*child.name.local == name);
    let text = |name: &str| child(name).map(|child| child.text.trim());
    let code = text("faultcode").map_or("", local);
    Parts {
        // `Client.Authentication` is a special `Client`.
        codes: code.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        reason: text("faultstring").unwrap_or_default(),
        actor: text("faultactor").filter(|text| !text.is_empty()),
        detail: child("detail"),
    }
}

fn parts_12<'e>(fault: &'e Element, envelope: &str) -> Parts<'e> {
    let mut codes = Vec::new();
    let mut code = fault.first(envelope, "Code");
    while let Some(element) = code {
        let value = element.first(envelope, "Value").map(|value| local(value.text.trim()).to_owned());
        codes.extend(value.filter(|value| !value.is_empty()));
        code = element.first(envelope, "Subcode");
    }
    Parts {
        codes,
        reason: fault
            .first(envelope, "Reason")
            .and_then(|reason| reason.first(envelope, "Text"))
            .map_or("", |text| text.text.as_str()),
        actor: fault.first(envelope, "Role").map(|role| role.text.trim()),
        detail: fault.first(envelope, "Detail"),
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn detail_of(detail: &Element, decoder: &Decoder<'_>, declared: &[Declared]) -> Option<Value> {
    let mut members = serde_json::Map::new();
    for child in &detail.children {
        let known =
            declared.iter().find(|known| *known.name == *child.name.local && *known.namespace == *child.name.namespace);
        let mut text = Vec::new();
        match known {
            Some(known) => decoder.element(known.kind, child, &mut text),
            None => decoder.anything(child, &mut text),
        }
        let value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        match members.get_mut(&*child.name.local) {
            None => drop(members.insert(child.name.local.to_string(), value)),
            Some(Value::Array(several)) if several.len() > 1 => several.push(value),
            Some(first) => *first = Value::Array(vec![std::mem::take(first), value]),
        }
    }
    match members.is_empty() {
        false => Some(members.into()),
        true => Some(detail.text.trim()).filter(|text| !text.is_empty()).map(Value::from),
    }
}
