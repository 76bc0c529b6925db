//! Streams of values that come piece by piece: lines of NDJSON, and `text/event-stream` (HTML Standard, server-sent
//! events), without I/O.

use bytes::Bytes;
use http::HeaderMap;

use super::media;

/// How values follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Lines,
    /// HTML Standard, server-sent events.
    Events,
}

impl Framing {
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = media::essence(headers)?;
        let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
        match () {
            () if is(b"text/event-stream") => Some(Framing::Events),
            () if is(b"application/x-ndjson") || is(b"application/ndjson") || is(b"application/jsonl") => {
                Some(Framing::Lines)
            }
            () => None,
        }
    }
}

/// How far the buffer has been looked through.
#[derive(Default)]
pub(crate) struct Scan {
    at: usize,
    /// Something stands on the line.
    within_line: bool,
}

impl Scan {
    /// Where the first event or line ends.
    pub(crate) fn end(&mut self, framing: Framing, text: &[u8]) -> Option<usize> {
        while let Some(byte) = text.get(self.at) {
            let ends = match byte {
                b'\n' => 1,
                b'\r' if framing == Framing::Events => match text.get(self.at + 1) {
                    Some(b'\n') => 2,
                    Some(_) => 1,
                    None => return None,
                },
                _ => 0,
            };
            self.at += ends.max(1);
            let complete = ends > 0 && (framing == Framing::Lines || !self.within_line);
            self.within_line = ends == 0;
            if complete {
                return Some(std::mem::take(self).at);
            }
        }
        None
    }
}

/// The data of an event, its lines joined, and all its other lines as they are.
pub(crate) fn data(event: &[u8]) -> (Bytes, Vec<u8>) {
    let (mut data, mut others): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut first = true;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
        match line.strip_prefix(b"data:").or((line == b"data").then_some(b"")) {
            Some(value) => {
                if !std::mem::take(&mut first) {
                    data.push(b'\n');
                }
                data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
            None => {
                others.extend_from_slice(line);
                others.push(b'\n');
            }
        }
    }
    (data.into(), others)
}

/// What the lines up to an empty one say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `event`; None is `message`.
    pub(crate) kind: Option<String>,
    pub(crate) id: Option<String>,
    /// None where there is no such line: a client is not told of it.
    pub(crate) data: Option<String>,
    /// How long to wait before the stream is asked for again, in milliseconds.
    pub(crate) retry: Option<u64>,
}

impl Event {
    /// Of one block, as `Scan` finds it. What is not UTF-8 becomes replacement characters, as the standard says.
    pub(crate) fn read(block: &[u8]) -> Self {
        let mut event = Self::default();
        let text = String::from_utf8_lossy(block);
        // CR LF leaves an empty piece between its two, as the end of the block does.
        for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event.kind = Some(value.to_owned()).filter(|kind| !kind.is_empty()),
                "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
                "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => event.retry = value.parse().ok(),
                "data" => match &mut event.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => event.data = Some(value.to_owned()),
                },
                _ => {}
            }
        }
        event
    }

    /// With the empty line that ends it. A line end within a name or id, which no field can hold, becomes a space.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut field = |name: &str, value: &str| {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b": ");
            text.extend(value.bytes().map(|byte| if matches!(byte, b'\n' | b'\r' | 0) { b' ' } else { byte }));
            text.push(b'\n');
        };
        if let Some(kind) = &self.kind {
            field("event", kind);
        }
        if let Some(id) = &self.id {
            field("id", id);
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.to_string());
        }
        if let Some(data) = &self.data {
            write_data(&mut text, data.as_bytes());
        }
        text.push(b'\n');
        text
    }
}

/// Data of as many lines as it has. Every kind of line end is one: none of them can be told from another behind it.
pub(crate) fn write_data(text: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let (line, more) = rest.split_at(end.unwrap_or(rest.len()));
        text.extend_from_slice(b"data: ");
        text.extend_from_slice(line);
        text.push(b'\n');
        rest = match more {
            [b'\r', b'\n', more @ ..] | [_, more @ ..] => more,
            [] => return,
        };
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn parts(framing: Framing, pieces: &[&str]) -> Vec<String> {
        let (mut scan, mut buffer, mut found) = (Scan::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            while let Some(end) = scan.end(framing, &buffer) {
                found.push(String::from_utf8(buffer.split_to(end).to_vec()).expect("text"));
            }
        }
        found
    }

    #[test]
    fn events_end_where_the_standard_says_however_they_are_cut() {
        assert_eq!(
            parts(Framing::Events, &["data: 1\n\ndata: 2\r\n\r\nda", "ta: 3\r\rx"]),
            ["data: 1\n\n", "data: 2\r\n\r\n", "data: 3\r\r"]
        );
        assert_eq!(parts(Framing::Events, &["a\r", "\n", "\r", "\nb"]), ["a\r\n\r\n"]);
        assert_eq!(parts(Framing::Lines, &["{}\n{", "}\r\n", "\n"]), ["{}\n", "{}\r\n", "\n"]);
    }

    #[test]
    fn the_data_of_an_event_is_joined_and_the_rest_kept() {
        let (data, others) = data(b"id: 7\ndata: {\"a\":\ndata:1}\nevent: x\n: c\n\n");
        assert_eq!((&*data, &*others), (&b"{\"a\":\n1}"[..], &b"id: 7\nevent: x\n: c\n"[..]));
    }

    #[test]
    fn an_event_is_read_as_the_standard_says() {
        let event = |kind: Option<&str>, id: Option<&str>, data: Option<&str>, retry| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Event { kind: own(kind), id: own(id), data: own(data), retry }
        };
        let table = [
            ("data: a\n\n", event(None, None, Some("a"), None)),
            ("data:a\r\ndata\r\ndata:  b\r\n\r\n", event(None, None, Some("a\n\n b"), None)),
            ("event: x\rid: 7\rretry: 250\rdata: y\r\r", event(Some("x"), Some("7"), Some("y"), Some(250))),
            (": comment\n\n", event(None, None, None, None)),
            ("id\nretry: 2s\n\n", event(None, Some(""), None, None)),
            ("id: a\0b\nevent:\ndata\n\n", event(None, None, Some(""), None)),
            ("unknown: x\nda ta: y\ndata: \u{e4}\n\n", event(None, None, Some("\u{e4}"), None)),
        ];
        for (block, expected) in table {
            let read = Event::read(block.as_bytes());
            assert_eq!(read, expected, "{block:?}");
            assert_eq!(Event::read(&read.write()), read, "{block:?}");
        }
        assert_eq!(Event::read(b"data: \xFF\n\n").data.as_deref(), Some("\u{FFFD}"));
    }

    #[test]
    fn nothing_that_is_written_breaks_out_of_its_field() {
        let wild =
            Event { kind: Some("a\nb".into()), id: Some("1\r2\0".into()), data: Some("x\r\ny\rz".into()), retry: None };
        let read = Event::read(&wild.write());
        assert_eq!(
            (read.kind.as_deref(), read.id.as_deref(), read.data.as_deref()),
            (Some("a b"), Some("1 2 "), Some("x\ny\nz"))
        );
    }
}
