//! Messages, whole and within a bound, where the gateway is an end of the WebSocket. No extension is agreed upon.

use bytes::{Buf, Bytes, BytesMut};

use super::{apply_mask, frame, Head, Opcode, Sender};

/// Of a close frame's reason: a control frame's payload less the code.
const REASON: usize = 123;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// The code, where one was given.
    Close(Option<u16>),
}

/// What the sender has done wrong, with the code that it is closed with (RFC 6455 §7.4.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) code: u16,
    pub(crate) what: &'static str,
}

const fn wrong(what: &'static str) -> Violation {
    Violation { code: 1002, what }
}

const NOT_TEXT: Violation = Violation { code: 1007, what: "a text is not UTF-8" };
const TOO_LARGE: Violation = Violation { code: 1009, what: "a message is too large" };

/// Reads what one side sends. Holds one message, at most so large as allowed, and what has come behind it.
pub(crate) struct Messages {
    sender: Sender,
    most: usize,
    buffer: BytesMut,
    /// The pieces so far of a message in several frames, and whether it is text.
    begun: Option<(bool, BytesMut)>,
}

impl Messages {
    pub(crate) fn new(sender: Sender, most: usize) -> Self {
        Self { sender, most, buffer: BytesMut::new(), begun: None }
    }

    pub(crate) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// What has come and was not read.
    pub(crate) fn forget(&mut self) {
        self.buffer.clear();
        self.begun = None;
    }

    /// None: more bytes are needed. After a violation nothing may be read any more.
    pub(crate) fn next(&mut self) -> Result<Option<Message>, Violation> {
        loop {
            let head = Head::read(&self.buffer, self.sender).map_err(|_| wrong("a frame is malformed"))?;
            let Some(head) = head else { return Ok(None) };
            if head.reserved {
                return Err(wrong("a frame uses an extension that was not agreed upon"));
            }
            let before = self.begun.as_ref().map_or(0, |(_, pieces)| pieces.len());
            let length = usize::try_from(head.length).ok().filter(|length| {
                head.opcode.is_control() || before.checked_add(*length).is_some_and(|all| all <= self.most)
            });
            let length = length.ok_or(TOO_LARGE)?;
            if self.buffer.len() < head.size + length {
                return Ok(None);
            }
            self.buffer.advance(head.size);
            let mut payload = self.buffer.split_to(length);
            if self.sender == Sender::Client {
                apply_mask(&mut payload, head.mask);
            }
            if let Some(message) = self.frame(&head, payload)? {
                return Ok(Some(message));
            }
        }
    }

    fn frame(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Message>, Violation> {
        let (is_text, pieces) = match (head.opcode, self.begun.take()) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, begun) => {
                self.begun = begun;
                return control(head.opcode, payload.freeze()).map(Some);
            }
            (Opcode::Continuation, None) => return Err(wrong("a message goes on that has not begun")),
            (Opcode::Continuation, Some((is_text, mut pieces))) => {
                pieces.extend_from_slice(&payload);
                (is_text, pieces)
            }
            (_, Some(_)) => return Err(wrong("a message begins within another")),
            (opcode, None) => (opcode == Opcode::Text, payload),
        };
        if !head.whole {
            self.begun = Some((is_text, pieces));
            return Ok(None);
        }
        match is_text {
            true => String::from_utf8(pieces.into()).map(|text| Some(Message::Text(text))).map_err(|_| NOT_TEXT),
            false => Ok(Some(Message::Binary(pieces.freeze()))),
        }
    }
}

fn control(opcode: Opcode, payload: Bytes) -> Result<Message, Violation> {
    match (opcode, payload.as_ref()) {
        (Opcode::Ping, _) => Ok(Message::Ping(payload)),
        (Opcode::Pong, _) => Ok(Message::Pong(payload)),
        (_, []) => Ok(Message::Close(None)),
        (_, [first, second, reason @ ..]) => match u16::from_be_bytes([*first, *second]) {
            _ if std::str::from_utf8(reason).is_err() => Err(NOT_TEXT),
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Message::Close(Some(code))),
            _ => Err(wrong("a close code is not to be sent")),
        },
        _ => Err(wrong("a close code is cut off")),
    }
}

/// A message or control frame. A control frame's payload is at most 125 bytes.
pub(crate) fn write(sender: Sender, message: &Message) -> Bytes {
    match message {
        Message::Text(text) => frame(sender, Opcode::Text, text.as_bytes()),
        Message::Binary(bytes) => frame(sender, Opcode::Binary, bytes),
        Message::Ping(payload) => frame(sender, Opcode::Ping, payload),
        Message::Pong(payload) => frame(sender, Opcode::Pong, payload),
        Message::Close(code) => close(sender, *code, ""),
    }
}

/// A close frame; a long reason is cut.
pub(crate) fn close(sender: Sender, code: Option<u16>, reason: &str) -> Bytes {
    let Some(code) = code else { return frame(sender, Opcode::Close, &[]) };
    let mut end = reason.len().min(REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    frame(sender, Opcode::Close, &[&code.to_be_bytes()[..], &reason.as_bytes()[..end]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sender: Sender, bytes: &[u8]) -> Result<Vec<Message>, Violation> {
        let whole = all(&mut Messages::new(sender, 300), [bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(all(&mut Messages::new(sender, 300), single), whole, "{bytes:x?}");
        whole
    }

    fn all<'a>(messages: &mut Messages, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Message>, Violation> {
        let mut found = Vec::new();
        for piece in pieces {
            messages.push(piece);
            while let Some(message) = messages.next()? {
                found.push(message);
            }
        }
        Ok(found)
    }

    #[test]
    fn messages_are_read_however_they_are_cut() {
        let text = |text: &str| Message::Text(text.to_owned());
        let table: [(&[u8], Vec<Message>); 6] = [
            (b"\x81\x05Hello", vec![text("Hello")]),
            (b"\x01\x03Hel\x89\x01p\x80\x02lo", vec![Message::Ping(Bytes::from_static(b"p")), text("Hello")]),
            (
                b"\x82\x02\x00\xFF\x8A\x00",
                vec![Message::Binary(Bytes::from_static(b"\x00\xFF")), Message::Pong(Bytes::new())],
            ),
            (b"\x81\x00\x88\x00", vec![text(""), Message::Close(None)]),
            (b"\x88\x05\x0F\xA1bye", vec![Message::Close(Some(4001))]),
            // A character cut by the frames' border is none the worse for it.
            (b"\x01\x01\xC3\x80\x01\xA4", vec![text("ä")]),
        ];
        for (bytes, expected) in table {
            assert_eq!(read(Sender::Server, bytes), Ok(expected), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_wrong_has_the_code_that_the_standard_says() {
        let table: [(&[u8], u16); 13] = [
            (b"\x83\x00", 1002),
            (b"\x81\x81abcdx", 1002),
            (b"\xC1\x01x", 1002),
            (b"\x80\x01x", 1002),
            (b"\x01\x01x\x81\x01y", 1002),
            (b"\x09\x00", 1002),
            (b"\x88\x01\x03", 1002),
            (b"\x88\x02\x03\xED", 1002),
            (b"\x81\x01\xFF", 1007),
            (b"\x88\x03\x03\xE8\xFF", 1007),
            (b"\x82\x7E\x01\x2D", 1009),
            (b"\x82\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 1009),
            (b"\x02\x7E\x01\x00", 0),
        ];
        for (bytes, code) in table {
            let found = read(Sender::Server, bytes).err().map_or(0, |violation| violation.code);
            assert_eq!(found, code, "{bytes:x?}");
        }
        let mut messages = Messages::new(Sender::Server, 300);
        let half = [&b"\x02\x7E\x00\xFA"[..], &[7; 250]].concat();
        let rest = [&b"\x80\x7E\x00\xFA"[..], &[7; 250]].concat();
        assert_eq!(all(&mut messages, [&*half, &*rest]), Err(TOO_LARGE), "the pieces of a message count together");
    }

    #[test]
    fn what_is_written_is_read_by_the_other_side() {
        for length in [0, 1, 125, 126, 300] {
            for sender in [Sender::Client, Sender::Server] {
                let message = Message::Text("x".repeat(length));
                assert_eq!(read(sender, &write(sender, &message)), Ok(vec![message]));
            }
        }
        let large = Message::Binary(vec![1; 70_000].into());
        let mut messages = Messages::new(Sender::Client, 70_000);
        assert_eq!(all(&mut messages, [&*write(Sender::Client, &large)]), Ok(vec![large]));
        let reason = "ä".repeat(100);
        assert_eq!(
            read(Sender::Server, &close(Sender::Server, Some(1014), &reason)),
            Ok(vec![Message::Close(Some(1014))])
        );
    }
}
