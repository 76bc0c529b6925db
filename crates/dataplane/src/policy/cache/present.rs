//! The response that a client gets of a stored one, or of one that is being stored.

use http::header::{AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::condition;
use super::entry::Stored;
use super::range::{self, Parts};
use crate::protocol::body::Body;

/// Nothing says how content is made that is not there (RFC 9110 §15.4.5).
const OF_CONTENT: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE];

/// A head and the content that belongs to it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    /// Whole seconds since 1970.
    pub received_s: u64,
}

impl Answer {
    /// Of what is stored, with its age.
    pub fn stored(head: &Stored, body: Body) -> Self {
        let mut headers = head.headers.clone();
        let age = head.age().map_or(u64::from(u32::MAX >> 1), |age| age.as_secs());
        headers.insert(AGE, HeaderValue::from(age));
        Self { status: head.status, headers, body, received_s: head.received_s }
    }

    /// As this client asked for it.
    pub fn present(mut self, method: &Method, request: &HeaderMap) -> Response<Body> {
        if self.status == StatusCode::OK && condition::not_modified(request, &self.headers, self.received_s) {
            OF_CONTENT.iter().for_each(|name| drop(self.headers.remove(name)));
            return self.respond(StatusCode::NOT_MODIFIED, Body::empty());
        }
        let whole = self.body.whole();
        if method == Method::HEAD {
            if let Some(whole) = whole.filter(|_| self.status != StatusCode::NO_CONTENT) {
                self.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(whole.len()));
            }
            let status = self.status;
            return self.respond(status, Body::empty());
        }
        let cut = self.status == StatusCode::OK && request.contains_key(RANGE);
        if let Some(whole) = whole.filter(|_| cut && condition::range_holds(request, &self.headers)) {
            let parts = range::parse(request, whole.len());
            if parts != Parts::Whole {
                let (status, content) = range::cut(&whole, &parts, &mut self.headers);
                return self.respond(status, Body::full(content));
            }
        }
        let (status, body) = (self.status, std::mem::take(&mut self.body));
        self.respond(status, body)
    }

    fn respond(self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.headers;
        response
    }
}
