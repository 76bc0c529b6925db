//! The methods of a service by their procedures, with the types of what they take and give.

use std::sync::Arc;

use prost_reflect::MethodDescriptor;
use rustc_hash::FxHashMap;

use super::super::descriptor::Descriptors;
use super::super::message::{self, MessageType};

/// `idempotency_level = NO_SIDE_EFFECTS` (google/protobuf/descriptor.proto).
const NO_SIDE_EFFECTS: i32 = 1;

pub(super) struct Methods {
    by_procedure: FxHashMap<Box<str>, Arc<Method>>,
    pub(super) messages: Arc<message::Messages>,
}

pub(super) struct Method {
    pub(super) input: MessageType,
    pub(super) output: MessageType,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
    /// May be asked with GET.
    pub(super) safe: bool,
}

impl Methods {
    pub(super) fn compile(descriptors: &Descriptors) -> Result<Self, Vec<String>> {
        let methods = descriptors.services.iter().flat_map(|service| service.methods().collect::<Vec<_>>());
        let by_procedure = methods
            .filter_map(|method| {
                let procedure = format!("{}/{}", method.parent_service().full_name(), method.name());
                Some((procedure.into(), Arc::new(Method::new(&method, &descriptors.messages)?)))
            })
            .collect::<FxHashMap<_, _>>();
        match by_procedure.is_empty() {
            true => Err(vec!["services: no service that is described has a method".to_owned()]),
            false => Ok(Self { by_procedure, messages: descriptors.messages.clone() }),
        }
    }

    pub(super) fn get(&self, procedure: &str) -> Option<&Arc<Method>> {
        self.by_procedure.get(procedure)
    }

    /// In their order.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_procedure.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }
}

impl Method {
    fn new(method: &MethodDescriptor, messages: &Arc<message::Messages>) -> Option<Self> {
        let options = method.method_descriptor_proto().options.as_ref();
        Some(Self {
            input: MessageType::find(messages, method.input().full_name())?,
            output: MessageType::find(messages, method.output().full_name())?,
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
            safe: options.and_then(|options| options.idempotency_level) == Some(NO_SIDE_EFFECTS),
        })
    }
}
