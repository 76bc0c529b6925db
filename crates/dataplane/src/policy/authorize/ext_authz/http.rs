//! Envoy's external authorization over plain HTTP: the request's own method and path, behind a prefix. 200 lets it pass,
//! a redirection or a client error is the answer for its client, and everything else decides nothing.

use bytes::Bytes;
use http::header::{self, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{json, Value};

use super::question::{Question, Visible};
use super::verdict::{may_change_request, may_change_response, Change, Changes, How, Refusal, Verdict};
use crate::cluster::hop_by_hop;

/// Names of request headers that an authorizer wants to be taken away.
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
const PARTIAL: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");

/// Without these a refusal would not be understood.
const TELLING: [HeaderName; 4] = [CONTENT_TYPE, header::LOCATION, header::WWW_AUTHENTICATE, header::RETRY_AFTER];

pub struct Http {
    pub path_prefix: String,
    pub upstream: Visible,
    pub response: Visible,
    pub client: Visible,
}

impl Http {
    pub fn describe(&self) -> Value {
        json!({
            "path_prefix": self.path_prefix, "upstream_headers": self.upstream.describe(),
            "response_headers": self.response.describe(), "client_headers": self.client.describe(),
        })
    }

    pub fn path(&self, question: &Question<'_>) -> String {
        format!("{}{}", self.path_prefix, question.exchange.target)
    }

    /// With what the gateway knows of the caller, as it tells services.
    pub fn headers(&self, question: &Question<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &question.headers {
            if !may_ask(name) {
                continue;
            }
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(*name, value);
            }
        }
        headers.insert(HOST, question.exchange.host.clone());
        if let Ok(address) = HeaderValue::try_from(question.exchange.client.to_string()) {
            headers.insert(HeaderName::from_static("x-forwarded-for"), address);
        }
        if let Some(content) = &question.content {
            headers.insert(PARTIAL, HeaderValue::from_static(if content.whole { "false" } else { "true" }));
        }
        if let Some(consumer) = &question.exchange.consumer {
            consumer.identity.set(&mut headers);
        }
        headers
    }

    pub fn verdict(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Verdict, String> {
        match status.as_u16() {
            200 => {
                let mut changes = Changes {
                    set: taken(headers, How::Set, |name| self.upstream.contains(name) && may_change_request(name)),
                    response: taken(headers, How::Append, |name| {
                        self.response.contains(name) && may_change_response(name)
                    }),
                    ..Changes::default()
                };
                // The authorizer alone has the word on these, also where it says nothing.
                if let Visible::Named(names) = &self.upstream {
                    changes.remove.extend(names.iter().filter(|name| may_change_request(name)).cloned());
                }
                for value in headers.get_all(REMOVE) {
                    for name in value.as_bytes().split(|byte| *byte == b',') {
                        let name = HeaderName::from_bytes(name.trim_ascii())
                            .map_err(|_| format!("{REMOVE} names what is no header"))?;
                        changes.remove.extend(Some(name).filter(may_change_request));
                    }
                }
                Ok(Verdict::Passes(changes))
            }
            300..=499 => {
                let wanted = |name: &HeaderName| {
                    (TELLING.contains(name) || self.client.contains(name)) && may_change_response(name)
                };
                Ok(Verdict::Refused(Refusal { status, headers: taken(headers, How::Append, wanted), body }))
            }
            _ => Err(format!("it answered {status}")),
        }
    }
}

/// Not what frames the client's message, nor what asks for a part or on a condition: that would be of another answer.
fn may_ask(name: &HeaderName) -> bool {
    let own = [CONTENT_LENGTH, header::EXPECT, header::RANGE, header::TRAILER, header::ACCEPT_ENCODING];
    !own.contains(name) && !name.as_str().starts_with("if-") && !hop_by_hop::is_for_one_hop(name.as_str())
}

/// The first of several of one name does what `how` says, the others go beside it.
fn taken(headers: &HeaderMap, how: How, wanted: impl Fn(&HeaderName) -> bool) -> Vec<Change> {
    let names = headers.keys().filter(|name| **name != REMOVE && wanted(name));
    let values = names.flat_map(|name| {
        headers.get_all(name).iter().enumerate().map(move |(index, value)| Change {
            name: name.clone(),
            value: value.clone(),
            how: if index == 0 { how } else { How::Append },
        })
    });
    values.collect()
}
