//! What the service answers, as JSON or as the problem that its fault is.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::decode::Decoder;
use super::{document, fault, types, Back, SOAP_ACTION};
use crate::error::{self, Error, Kind};
use crate::exchange::Exchange;
use crate::policy::transform::content;
use crate::policy::ResponseHead;
use crate::protocol::body::Body;
use crate::protocol::coding::{Coding, Fault as CodingFault};
use crate::protocol::{charset, media};
use crate::snapshot::SoapVersion;

impl Back {
    pub async fn on_answer(self, exchange: &mut Exchange, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let operation = &*self.0;
        let (mut head, mut body) = answer.into_parts();
        if head.status.is_informational() {
            return Ok(Response::from_parts(head, body));
        }
        let bad = |why: String| Error::new(Kind::BadReply, why);
        let Some(content) = body.peek(operation.most).await? else {
            return Err(bad(format!("the service's answer is larger than {} bytes", operation.most)));
        };
        if content.is_empty() && head.status.is_success() && operation.output.is_none() {
            head.status = if head.status == StatusCode::ACCEPTED { head.status } else { StatusCode::NO_CONTENT };
            rewrite(&mut head);
            head.headers.remove(CONTENT_TYPE);
            return Ok(Response::from_parts(head, Body::empty()));
        }
        let text = text_of(&head, &content, operation.most).map_err(bad)?;
        let root = document::parse(&text).map_err(|why| bad(format!("the service's answer cannot be read: {why}")))?;
        let namespace = root.name.namespace.clone();
        let known = [types::envelope(SoapVersion::V11), types::envelope(SoapVersion::V12)].contains(&&*namespace);
        let body = Some(&root).filter(|root| known && &*root.name.local == "Envelope");
        let Some(body) = body.and_then(|root| root.first(&namespace, "Body")) else {
            return Err(bad(format!("the service answered {} without an envelope", head.status.as_u16())));
        };
        let decoder = Decoder { types: &operation.types };
        if let Some(fault) = body.first(&namespace, "Fault") {
            let fault = fault::read(fault, &namespace, &decoder, &operation.faults, &operation.statuses);
            exchange.error = Some(fault.error.kind);
            return Ok(error::respond_with(&fault.error, fault.status, Some(exchange.request_id())));
        }
        if !head.status.is_success() {
            return Err(bad(format!("the service answered {} without a fault", head.status.as_u16())));
        }
        let mut made = Vec::with_capacity(content.len());
        match &operation.output {
            None => {
                head.status = StatusCode::NO_CONTENT;
                rewrite(&mut head);
                head.headers.remove(CONTENT_TYPE);
                return Ok(Response::from_parts(head, Body::empty()));
            }
            Some(output) => {
                // Some services get the namespace wrong; there is but one element.
                let found = body.first(&output.namespace, &output.name);
                let found = found.or_else(|| body.children.iter().find(|child| *child.name.local == *output.name));
                let found =
                    found.ok_or_else(|| bad(format!("the service's answer has no element '{}'", output.name)))?;
                decoder.element(output.kind, found, &mut made);
            }
        }
        rewrite(&mut head);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Response::from_parts(head, Body::full(made)))
    }
}

/// What was said of the envelope.
fn rewrite(head: &mut ResponseHead) {
    content::rewrite(&mut head.headers);
    head.headers.remove(&SOAP_ACTION);
    head.headers.remove(http::header::CONTENT_LANGUAGE);
}

/// Of an answer, as text.
fn text_of(head: &ResponseHead, content: &bytes::Bytes, most: usize) -> Result<String, String> {
    let kind = media::essence(&head.headers).unwrap_or_default().to_ascii_lowercase();
    let status = head.status.as_u16();
    if kind.starts_with(b"multipart/") {
        return Err("the service answered with attachments (MIME, MTOM), which are not supported".to_owned());
    }
    if !kind.ends_with(b"/xml") && !kind.ends_with(b"+xml") {
        return Err(format!("the service answered {status} with no XML"));
    }
    let coding = Coding::of(&head.headers).ok_or("the service's answer is in a content coding that is not known")?;
    let plain = coding.decode(content, most).map_err(|fault| match fault {
        CodingFault::Damaged => "the service's answer is not what its Content-Encoding says".to_owned(),
        CodingFault::TooLarge => format!("the service's answer is larger than {most} bytes, decoded"),
    })?;
    match charset::text(&head.headers, &plain) {
        Some(text) => Ok(text.into_owned()),
        None => Err("the service's answer is not in UTF-8".to_owned()),
    }
}
