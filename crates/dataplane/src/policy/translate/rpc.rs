//! One unary method of a service that speaks gRPC, for calls that the control plane sends: JSON of its messages and back.

use std::collections::BTreeMap;

use prost_reflect::ServiceDescriptor;

use super::descriptor::Descriptors;
use super::message::{MessageType, ReadRules, Unreadable, WriteRules};

pub struct Rpc {
    /// `/SERVICE/METHOD`, with the service's full name.
    pub path: String,
    input: MessageType,
    output: MessageType,
}

impl Rpc {
    /// Of `.proto` sources by their names, of which `main` has the service. The error is a sentence.
    pub fn of_sources(
        sources: &BTreeMap<String, String>,
        main: &str,
        service: &str,
        method: &str,
    ) -> Result<Self, String> {
        Self::new(&Descriptors::of_sources(sources, main)?, service, method)
    }

    /// Of a file of descriptors, as the compiler of Protocol Buffers writes them.
    pub fn of_set(set: &[u8], service: &str, method: &str) -> Result<Self, String> {
        Self::new(&Descriptors::of_set(set)?, service, method)
    }

    fn new(descriptors: &Descriptors, service: &str, method: &str) -> Result<Self, String> {
        let found = find(&descriptors.services, service)?;
        let Some(method) = found.methods().find(|each| each.name() == method) else {
            let names: Vec<String> = found.methods().take(8).map(|each| each.name().to_owned()).collect();
            return Err(format!(
                "the service '{}' has no method '{method}'; there are {}",
                found.full_name(),
                names.join(", ")
            ));
        };
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(format!("not supported: '{}' is a stream of messages", method.name()));
        }
        let message = |name: &str| {
            MessageType::find(&descriptors.messages, name)
                .ok_or_else(|| format!("the message '{name}' is not described"))
        };
        Ok(Self {
            path: format!("/{}/{}", found.full_name(), method.name()),
            input: message(method.input().full_name())?,
            output: message(method.output().full_name())?,
        })
    }

    /// The message that a text of JSON is.
    pub fn encode(&self, json: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::with_capacity(json.len());
        match self.input.read_json(json, ReadRules::default(), &mut out) {
            Ok(()) => Ok(out),
            Err(wrong) => Err(match wrong.pointer().as_str() {
                "" => wrong.detail().to_owned(),
                pointer => format!("{pointer}: {}", wrong.detail()),
            }),
        }
    }

    /// The JSON of a message.
    pub fn decode(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let rules = WriteRules { defaults: true, unknown_any: true, ..WriteRules::default() };
        let mut out = Vec::with_capacity(message.len() * 2 + 64);
        match self.output.write_json(message, rules, &mut out) {
            Ok(()) => Ok(out),
            Err(Unreadable(why)) => Err(format!("a message '{}' cannot be read: {why}", self.output.name())),
        }
    }
}

/// By its full name, or by its last part where that is of one service alone.
fn find<'d>(services: &'d [ServiceDescriptor], name: &str) -> Result<&'d ServiceDescriptor, String> {
    if let Some(found) = services.iter().find(|each| each.full_name() == name) {
        return Ok(found);
    }
    let mut named = services.iter().filter(|each| each.name() == name);
    if let (Some(found), None) = (named.next(), named.next()) {
        return Ok(found);
    }
    let names: Vec<&str> = services.iter().take(8).map(ServiceDescriptor::full_name).collect();
    match names.is_empty() {
        true => Err("it describes no service".to_owned()),
        false => Err(format!("there is no service '{name}'; there are {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETER: &str = r#"syntax = "proto3"; package app; import "common/name.proto";
        service Greeter { rpc Greet(common.Name) returns (Greeting); rpc Stream(common.Name) returns (stream Greeting); }
        message Greeting { string text = 1; int64 count = 2; }"#;
    const NAME: &str = r#"syntax = "proto3"; package common; message Name { string name = 1; }"#;

    fn sources() -> BTreeMap<String, String> {
        [("greet.proto", GREETER), ("common/name.proto", NAME)].map(|(name, text)| (name.into(), text.into())).into()
    }

    #[test]
    fn a_method_is_found_by_its_service_and_turns_json_into_messages() {
        let rpc = Rpc::of_sources(&sources(), "greet.proto", "Greeter", "Greet").unwrap();
        assert_eq!(rpc.path, "/app.Greeter/Greet");
        assert_eq!(rpc.encode(br#"{"name": "Ann"}"#).unwrap(), b"\x0a\x03Ann");
        assert_eq!(rpc.decode(b"\x0a\x02Hi").unwrap(), br#"{"text":"Hi","count":"0"}"#);
        assert!(rpc.encode(br#"{"nme": "Ann"}"#).unwrap_err().contains("nme"));
        assert!(rpc.decode(b"\x0a\x09Hi").is_err());
    }

    #[test]
    fn what_is_not_described_is_told() {
        let fails = |main: &str, service: &str, method: &str| {
            Rpc::of_sources(&sources(), main, service, method).err().unwrap_or_default()
        };
        assert!(fails("greet.proto", "app.Greter", "Greet").contains("app.Greeter"));
        assert!(fails("greet.proto", "app.Greeter", "Gret").contains("Greet"));
        assert!(fails("greet.proto", "app.Greeter", "Stream").contains("stream"));
        assert!(fails("lost.proto", "app.Greeter", "Greet").contains("lost.proto"));
        assert!(Rpc::of_set(b"\xff", "a", "b").is_err());
    }
}
