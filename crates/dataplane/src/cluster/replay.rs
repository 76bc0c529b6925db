//! What is needed to send a request again after hyper has consumed it. Nearly every request keeps this and nearly none
//! uses it, so the fields are copied into a buffer that stays with the connection: no allocation and no reference
//! counting for each of them, as a clone of the map would cost.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A buffer that has grown beyond this is not kept for the next request.
const KEPT_BYTES: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn keep(&mut self, headers: &HeaderMap) {
        if self.0.capacity() > KEPT_BYTES {
            self.0 = Vec::new();
        }
        self.0.clear();
        for (name, value) in headers {
            self.push(name.as_str().as_bytes());
            self.push(value.as_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes.len().to_ne_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// The same fields in the same order; None never happens for what was kept.
    pub(super) fn restore(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let name = HeaderName::from_bytes(take(&mut rest)?).ok()?;
            headers.append(name, HeaderValue::from_bytes(take(&mut rest)?).ok()?);
        }
        Some(headers)
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(usize::from_ne_bytes(*length))?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_and_a_buffer_serves_again() {
        let mut fields = Fields::default();
        for round in 0..3 {
            let mut headers = HeaderMap::new();
            headers.append("host", HeaderValue::from_static("shop.example"));
            headers.append("x-many", HeaderValue::from_static("1"));
            headers.append("x-many", HeaderValue::from_static(""));
            headers.append("x-odd", HeaderValue::from_bytes(&vec![0xE9; round * 10_000]).unwrap());
            fields.keep(&headers);
            assert_eq!(fields.restore(), Some(headers));
        }
    }
}
