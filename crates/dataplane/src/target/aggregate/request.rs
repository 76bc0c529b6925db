//! The request of a call.

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, VIA};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use stagedoor_expression::json;

use super::call::{Call, Header};
use super::failure::Failure;
use super::round::Scope;
use crate::evaluation::add_parameter;
use crate::exchange::Exchange;
use crate::protocol::body::Body;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the client said of its own request's content and of the answer that it has or wants: of no call is it true.
fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("content-")
        || name.starts_with("if-")
        || matches!(
            name,
            "accept"
                | "accept-encoding"
                | "cache-control"
                | "digest"
                | "expect"
                | "idempotency-key"
                | "max-forwards"
                | "pragma"
                | "prefer"
                | "priority"
                | "range"
                | "te"
                | "trailer"
                | "want-content-digest"
                | "want-repr-digest"
        )
}

/// The headers with which every call begins: the client's, as a route to a cluster passes them on.
pub fn base(client: &HeaderMap, exchange: &Exchange) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(client.len() + 4);
    for (name, value) in client {
        if !is_own(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(ACCEPT, JSON);
    // What is put together has to be read.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.append(VIA, HeaderValue::from_static("1.1 stagedoor"));
    if let Some(consumer) = exchange.told_consumer() {
        consumer.identity.set(&mut headers);
    }
    headers
}

pub async fn build(call: &Call, scope: &Scope<'_>) -> Result<Request<Body>, Failure> {
    let target = match &call.fixed {
        Some(fixed) => fixed.clone(),
        None => target(call, scope).await?,
    };
    let mut headers = scope.round.base.clone();
    for (name, header) in &call.headers {
        match header {
            Header::Fixed(value) => {
                headers.insert(name.clone(), value.clone());
            }
            Header::Made(text) => {
                headers.remove(name);
                for value in text.values(scope, "headers").await? {
                    let wrong = |_| {
                        Failure::value(text.is_answered(scope), &format!("the value of '{name}' is none for a header"))
                    };
                    let value = HeaderValue::from_str(&value).map_err(wrong)?;
                    headers.append(name.clone(), value);
                }
            }
        }
    }
    call.cluster.name_host(&mut headers);
    let body = match &call.body {
        None => Body::empty(),
        Some(template) => {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
            Body::full(json::write(&scope.evaluate(template, "body").await?))
        }
    };
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = headers;
    Ok(request)
}

async fn target(call: &Call, scope: &Scope<'_>) -> Result<PathAndQuery, Failure> {
    let mut path = call.path.path(scope).await?;
    for (name, text) in &call.query {
        for value in text.values(scope, "query").await? {
            add_parameter(&mut path, name, &value);
        }
    }
    PathAndQuery::try_from(path).map_err(|error| Failure::expression("path", error))
}
