//! What is taken of a service's answer: JSON, whatever it was.

use bytes::Bytes;
use http::Response;
use stagedoor_expression::json as tree;

use super::call::Call;
use super::failure::Failure;
use super::round::{Answer, Scope};
use crate::cluster::call::collect;
use crate::evaluation::evaluate;
use crate::protocol::body::Body;
use crate::protocol::coding::{Coding, Fault};
use crate::protocol::json;
use crate::snapshot::AnswerFormat;

const NULL: Bytes = Bytes::from_static(b"null");

pub async fn read(call: &Call, scope: &Scope<'_>, response: Response<Body>) -> Result<Answer, Failure> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(Failure::answered(head.status, &head.headers));
    }
    let unusable = |why: &dyn std::fmt::Display| Failure::unusable(head.status, why);
    let coding = Coding::of(&head.headers).ok_or_else(|| unusable(&"it is in a content coding that is not known"))?;
    scope.round.freshness.borrow_mut().add(&head.headers);
    let (content, _trailers) = collect(body, call.body_bytes).await?;
    let content = coding.decode(&content, call.body_bytes).map_err(|fault| match fault {
        Fault::Damaged => unusable(&"it is not what its Content-Encoding says"),
        Fault::TooLarge => unusable(&format!("it is larger than {} bytes, decoded", call.body_bytes)),
    })?;
    let text = match call.format {
        _ if content.is_empty() => NULL,
        AnswerFormat::Text => {
            let text = std::str::from_utf8(&content).map_err(|_| unusable(&json::Fault::NotText))?;
            json::quote(text).into()
        }
        // Copied as it is: nothing of it is made into a tree.
        AnswerFormat::Json => {
            let value = json::validate(&content).map_err(|fault| unusable(&fault))?;
            content.slice_ref(value)
        }
    };
    let text = match &call.filter {
        None => text,
        Some(filter) => {
            let value = tree::parse(&text).map_err(|error| unusable(&error))?;
            let picked = evaluate(scope.round.worker, filter, &value).await;
            tree::write(&picked.map_err(|error| Failure::expression("pick", error))?).into()
        }
    };
    let text = match &call.shape {
        None => text,
        Some(shape) => shape.apply(&text).map_err(|fault| unusable(&fault))?.into(),
    };
    scope.round.hold(text.len())?;
    Ok(Answer::new(text))
}
