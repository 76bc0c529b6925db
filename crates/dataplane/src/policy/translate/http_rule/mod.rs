//! `google.api.http`: which request of HTTP is which call of gRPC (AIP-127). Compiled once, for both directions.

pub mod binding;
mod rule;
pub mod table;
pub mod template;

use std::sync::Arc;

use prost_reflect::MethodDescriptor;

use self::binding::Binding;
use self::table::Table;
use super::descriptor::Descriptors;
use super::message::{MessageType, Messages};

/// A method of gRPC.
pub struct Rpc {
    /// `package.Service.Method`.
    pub name: Box<str>,
    /// `/package.Service/Method`.
    pub path: Box<str>,
    pub input: MessageType,
    pub output: MessageType,
    pub client_streaming: bool,
    pub server_streaming: bool,
}

impl Rpc {
    fn new(method: &MethodDescriptor, messages: &Arc<Messages>) -> Option<Arc<Self>> {
        Some(Arc::new(Self {
            name: method.full_name().into(),
            path: format!("/{}/{}", method.parent_service().full_name(), method.name()).into(),
            input: MessageType::find(messages, method.input().full_name())?,
            output: MessageType::find(messages, method.output().full_name())?,
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
        }))
    }
}

/// What is offered of some services.
pub struct Api {
    pub table: Table,
    /// In the order of services and methods; those of one method follow each other, the first one first.
    pub bindings: Vec<Arc<Binding>>,
    /// `google.rpc.Status`.
    pub status: MessageType,
}

impl Api {
    /// `automatic`: methods without an annotation are `POST /package.Service/Method`.
    pub fn compile(descriptors: &Descriptors, automatic: bool) -> Result<Self, Vec<String>> {
        let (mut wrong, mut bindings) = (Vec::new(), Vec::new());
        for method in descriptors.services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let told = |wrong: String| format!("descriptors: '{}' in {}: {wrong}", method.full_name(), place(&method));
            let Some(rpc) = Rpc::new(&method, &descriptors.messages) else { continue };
            let found = match rule::of(&method) {
                Ok(None) if automatic => Binding::automatic(&rpc).map(|binding| vec![binding]),
                Ok(None) => continue,
                Ok(Some(rules)) => rules.iter().map(|rule| Binding::compile(&rpc, rule)).collect(),
                Err(message) => Err(message),
            };
            match found {
                Ok(found) => bindings.extend(found.into_iter().map(Arc::new)),
                Err(message) => wrong.push(told(message)),
            }
        }
        let table = Table::new(&bindings).map_err(|clashes| wrong.extend(clashes));
        let status = MessageType::find(&descriptors.messages, "google.rpc.Status");
        if bindings.is_empty() && wrong.is_empty() {
            wrong.push(match automatic {
                true => "services: no service that is described has a method".to_owned(),
                false => {
                    "services: no method has an annotation google.api.http; with 'automatic' none is needed".to_owned()
                }
            });
        }
        match (table, status) {
            (Ok(table), Some(status)) if wrong.is_empty() => Ok(Self { table, bindings, status }),
            (_, None) => {
                Err(vec!["descriptors: 'google.rpc.Status' is declared in another way than everywhere else".to_owned()])
            }
            _ => Err(wrong),
        }
    }
}

/// The file, and the line where it is known: `shop.proto:12`.
fn place(method: &MethodDescriptor) -> String {
    let file = method.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == method.path()));
    match location.and_then(|location| location.span.first()) {
        Some(line) => format!("{}:{}", file.name(), line + 1),
        None => file.name().to_owned(),
    }
}
