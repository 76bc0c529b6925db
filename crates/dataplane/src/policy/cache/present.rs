//! The response that a client gets of a stored one, or of one that is being stored.

use http::header::{AGE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::condition;
use super::content::Content;
use super::disk::Lost;
use super::entry::Stored;
use super::filling::Reader;
use super::range::{self, Parts};
use crate::protocol::body::Body;

/// Nothing says how content is made that is not there (RFC 9110 §15.4.5).
const OF_CONTENT: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE];

/// A head and the content that belongs to it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub material: Material,
    /// Whole seconds since 1970.
    pub received_s: u64,
}

pub enum Material {
    Stored(Content),
    /// At hand, or for this client alone.
    Body(Body),
    /// Coming in, and being stored.
    Reader(Reader),
}

impl Answer {
    /// Of what is stored, with its age.
    pub fn stored(head: &Stored, material: Material) -> Self {
        let mut headers = head.headers.clone();
        let age = head.age().map_or(u64::from(u32::MAX >> 1), |age| age.as_secs());
        headers.insert(AGE, HeaderValue::from(age));
        Self { status: head.status, headers, material, received_s: head.received_s }
    }

    /// As this client asked for it. `Lost`: its content cannot be read.
    pub async fn present(mut self, method: &Method, request: &HeaderMap) -> Result<Response<Body>, Lost> {
        if self.status == StatusCode::OK && condition::not_modified(request, &self.headers, self.received_s) {
            OF_CONTENT.iter().for_each(|name| drop(self.headers.remove(name)));
            return Ok(respond(StatusCode::NOT_MODIFIED, self.headers, Body::empty()));
        }
        let content = match self.material {
            Material::Stored(content) => content,
            Material::Reader(_) if method == Method::HEAD => {
                return Ok(respond(self.status, self.headers, Body::empty()));
            }
            Material::Reader(mut reader) => {
                let ranged = self.status == StatusCode::OK && condition::range_holds(request, &self.headers);
                let length = reader.length().filter(|_| ranged && request.contains_key(RANGE));
                if let Some((length, parts)) = length.map(|length| (length, range::parse(request, length))) {
                    // Several parts would have to be kept until their turn.
                    if let Parts::Some(ranges) = &parts {
                        if let [range] = ranges.as_slice() {
                            reader.cut(range);
                            self.status = range::cut(length, &parts, &mut self.headers).0;
                        }
                    }
                }
                return Ok(respond(self.status, self.headers, Body::stream(reader)));
            }
            Material::Body(body) => match body.whole() {
                Some(whole) => Content::Memory(whole),
                None if method == Method::HEAD => return Ok(respond(self.status, self.headers, Body::empty())),
                None => return Ok(respond(self.status, self.headers, body)),
            },
        };
        let length = content.length();
        if method == Method::HEAD {
            if self.status != StatusCode::NO_CONTENT {
                self.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
            }
            return Ok(respond(self.status, self.headers, Body::empty()));
        }
        let cut = self.status == StatusCode::OK && request.contains_key(RANGE);
        if cut && condition::range_holds(request, &self.headers) {
            let parts = range::parse(request, length);
            if parts != Parts::Whole {
                let (status, pieces) = range::cut(length, &parts, &mut self.headers);
                return Ok(respond(status, self.headers, content.pieces(pieces).await?));
            }
        }
        Ok(respond(self.status, self.headers, content.whole().await?))
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
