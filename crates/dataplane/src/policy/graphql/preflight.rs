//! No page of another site asks in a user's name: a browser that is made to ask sends, unasked, only a GET or a form. What
//! is neither (JSON), or carries a header that a page cannot set, has had the site's word first (a CORS preflight).

use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{csrf, RequestHead};
use crate::protocol::media;

/// Content types that a page may send to another site (Fetch §2.2.2).
const SIMPLE: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// `headers`: any one of them, not empty; none: nothing is asked for.
pub fn check(headers: &[HeaderName], exchange: &Exchange, head: &RequestHead) -> Result<(), Error> {
    let shown = |name: &HeaderName| head.headers.get(name).is_some_and(|value| !value.is_empty());
    if headers.is_empty() || headers.iter().any(shown) || csrf::is_own(exchange, &head.headers) {
        return Ok(());
    }
    // Several types are none.
    let single = head.headers.get_all(CONTENT_TYPE).iter().count() == 1;
    let declared = media::essence(&head.headers).map(|kind| String::from_utf8_lossy(kind).to_ascii_lowercase());
    if declared.is_some_and(|kind| single && kind.contains('/') && !SIMPLE.contains(&kind.as_str())) {
        return Ok(());
    }
    let names: Vec<&str> = headers.iter().map(HeaderName::as_str).collect();
    let what = if head.method == Method::POST { "content of this type" } else { "GET" };
    let detail = format!("A {what} needs one of the headers {}", names.join(", "));
    Err(Error::new(Kind::Forbidden, detail).cause("graphql: another site's page could have sent it"))
}
