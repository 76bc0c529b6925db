//! Messages one by one: compression is taken off, and JSON and the binary form are made of each other.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::super::message::{MessageType, ReadRules, Unreadable, WriteRules, Wrong};
use super::method::{Method, Methods};
use crate::error::{Error, Kind};
use crate::protocol::coding::{Coding, Fault};
use crate::protocol::connect::Failure;

/// How messages are read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Of one, when it is plain.
    pub(super) most: usize,
    pub(super) read: ReadRules,
    pub(super) write: WriteRules,
}

/// How the messages of one call are handed on.
#[derive(Clone)]
pub(super) struct Messages {
    pub(super) rules: Rules,
    /// The client takes messages that are compressed so.
    pub(super) takes_gzip: bool,
    /// Where the client writes JSON.
    pub(super) json: Option<Arc<Method>>,
    /// For the details of errors.
    pub(super) known: Option<Arc<Methods>>,
}

impl Messages {
    /// One of the client's, as the service reads it.
    ///
    /// Errors: `BodyTooLarge`, `InvalidBody`.
    pub(super) fn sent(&self, message: &Bytes, coding: Coding) -> Result<Bytes, Error> {
        let plain = coding.decode(message, self.rules.most).map_err(|fault| match fault {
            Fault::TooLarge => self.too_large(),
            Fault::Damaged => Error::new(Kind::InvalidBody, "A message is not what its compression says"),
        })?;
        let Some(method) = &self.json else { return Ok(plain) };
        let mut binary = Vec::with_capacity(plain.len());
        method.input.read_json(&plain, self.rules.read, &mut binary).map_err(|wrong| refused(&wrong))?;
        Ok(binary.into())
    }

    /// One of the service's as the client reads it, and whether it is still compressed.
    ///
    /// Errors: `BadReply`.
    pub(super) fn answered(&self, message: Bytes, compressed: bool) -> Result<(bool, Bytes), Error> {
        if !compressed && self.json.is_none() || compressed && self.passes_compressed() {
            return Ok((compressed, message));
        }
        // Some services compress whether or not they were asked to.
        let coding = if compressed { Coding::Gzip } else { Coding::Identity };
        let plain = coding.decode(&message, self.rules.most).map_err(|fault| match fault {
            Fault::TooLarge => self.answer_too_large(),
            Fault::Damaged => Error::new(Kind::BadReply, "a message of the service is not what its compression says"),
        })?;
        let Some(method) = &self.json else { return Ok((false, plain)) };
        let mut text = Vec::with_capacity(2 * plain.len() + 2);
        method.output.write_json(&plain, self.rules.write, &mut text).map_err(|Unreadable(why)| {
            let name = method.output.name();
            Error::new(Kind::BadReply, format!("a message '{name}' of the service cannot be read: {why}"))
        })?;
        Ok((false, text.into()))
    }

    /// Whether what the service compresses reaches the client so.
    pub(super) fn passes_compressed(&self) -> bool {
        self.takes_gzip && self.json.is_none()
    }

    /// Adds to an error's details what they say, where their types are known.
    pub(super) fn explain(&self, failure: &mut Failure) {
        let Some(methods) = &self.known else { return };
        let rules = WriteRules { unknown_any: true, ..self.rules.write };
        for detail in &mut failure.details {
            let Some(kind) = MessageType::find(&methods.messages, &detail.name) else { continue };
            let mut text = Vec::new();
            // What cannot be read is for people alone; the bytes are there.
            if kind.write_json(&detail.value, rules, &mut text).is_ok() {
                detail.debug = serde_json::from_slice(&text).ok();
            }
        }
    }

    pub(super) fn too_large(&self) -> Error {
        Error::new(Kind::BodyTooLarge, format!("Here a message is at most {} bytes", self.rules.most))
    }

    pub(super) fn answer_too_large(&self) -> Error {
        Error::new(Kind::BadReply, format!("a message of the service is larger than {} bytes", self.rules.most))
    }
}

fn refused(wrong: &Wrong) -> Error {
    let fault = json!({
        "in": "body", "pointer": wrong.pointer(), "line": wrong.line(), "column": wrong.column(),
        "detail": wrong.detail(),
    });
    Error::new(Kind::InvalidBody, format!("The message cannot be read: {wrong}")).errors(vec![fault])
}
