//! Server-sent events (HTML Standard, "Parsing an event stream") as JSON values.

use bytes::{Bytes, BytesMut};

#[derive(Default)]
pub(super) struct Events {
    buffer: BytesMut,
}

pub(super) struct Event {
    /// Empty: a message like any other.
    pub(super) name: String,
    pub(super) data: Bytes,
}

impl Events {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next event that has data. What the stream leaves without an empty line is none.
    pub(super) fn event(&mut self) -> Option<Event> {
        loop {
            let end = end(&self.buffer)?;
            let block = self.buffer.split_to(end);
            let (mut name, mut data) = (String::new(), Vec::new());
            for line in block[..].split(|byte| matches!(byte, b'\n' | b'\r')) {
                let (field, value) = match memchr::memchr(b':', line) {
                    Some(colon) => (&line[..colon], &line[colon + 1..]),
                    None => (line, &b""[..]),
                };
                let value = value.strip_prefix(b" ").unwrap_or(value);
                match field {
                    b"data" => {
                        data.extend_from_slice(value);
                        data.push(b'\n');
                    }
                    b"event" => name = String::from_utf8_lossy(value).into_owned(),
                    _ => {}
                }
            }
            if !data.is_empty() {
                return Some(Event { name, data: data.into() });
            }
        }
    }
}

/// Behind the first empty line.
fn end(text: &[u8]) -> Option<usize> {
    let mut empty = true;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let ends = match (byte, text.get(at + 1)) {
            (b'\n', _) => 1,
            (b'\r', Some(b'\n')) => 2,
            (b'\r', Some(_)) => 1,
            (b'\r', None) => return None,
            _ => 0,
        };
        at += ends.max(1);
        if ends > 0 && empty {
            return Some(at);
        }
        empty = ends > 0;
    }
    None
}
