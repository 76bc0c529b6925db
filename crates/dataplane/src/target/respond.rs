//! A target that is a fixed response.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Context;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::snapshot;

pub struct FixedResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl FixedResponse {
    pub fn compile(settings: &snapshot::FixedResponse, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let Ok(status) = StatusCode::from_u16(settings.status) else {
            context.error(report, format_args!("{} is not a status code", settings.status));
            return None;
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => {
                    headers.append(name, value);
                }
                _ => {
                    context.error(report, format_args!("'{name}' is not a valid header"));
                    return None;
                }
            }
        }
        Some(Self { status, headers, body: settings.body.clone().into() })
    }

    pub fn respond(&self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}
