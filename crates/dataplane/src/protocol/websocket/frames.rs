//! As much as it takes to know where a frame ends, so that a close frame of the gateway's own can be put there. Nothing is
//! changed, and nothing is held but the head of one frame.

use bytes::Bytes;

use super::{frame, Head, Opcode, Sender};

/// The endpoint is going away (RFC 6455 §7.4.1).
const GOING_AWAY: [u8; 2] = 1001u16.to_be_bytes();

/// How far one way of a connection has come.
pub(in crate::protocol) struct Frames {
    sender: Sender,
    state: State,
}

enum State {
    Head {
        bytes: [u8; Head::LONGEST],
        have: usize,
    },
    Payload(u64),
    /// Nothing may follow a close frame, or what comes is no WebSocket.
    Over,
}

const BOUNDARY: State = State::Head { bytes: [0; Head::LONGEST], have: 0 };

impl Frames {
    pub(in crate::protocol) fn new(sender: Sender) -> Self {
        Self { sender, state: BOUNDARY }
    }

    pub(in crate::protocol) fn follow(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match &mut self.state {
                State::Over => return,
                State::Payload(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    data = &data[taken..];
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = BOUNDARY;
                    }
                }
                State::Head { bytes, have } => {
                    bytes[*have] = data[0];
                    data = &data[1..];
                    *have += 1;
                    if let Some(next) = after(&bytes[..*have], self.sender) {
                        self.state = next;
                    }
                }
            }
        }
    }

    /// What the gateway may say in the sender's place, if a frame may stand here: that it is going away.
    pub(in crate::protocol) fn farewell(&self) -> Option<Bytes> {
        let here = matches!(self.state, State::Head { have: 0, .. });
        here.then(|| frame(self.sender, Opcode::Close, &GOING_AWAY))
    }
}

/// What follows a head that is whole; None while it is not.
fn after(head: &[u8], sender: Sender) -> Option<State> {
    Some(match Head::read(head, sender) {
        Err(_) => State::Over,
        Ok(head) => match head? {
            Head { opcode: Opcode::Close, .. } => State::Over,
            Head { length: 0, .. } => BOUNDARY,
            Head { length, .. } => State::Payload(length),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_whole(sender: Sender, bytes: &[u8]) -> bool {
        let mut at_once = Frames::new(sender);
        at_once.follow(bytes);
        let mut in_bytes = Frames::new(sender);
        bytes.iter().for_each(|byte| in_bytes.follow(&[*byte]));
        assert_eq!(at_once.farewell().is_some(), in_bytes.farewell().is_some(), "{bytes:x?}");
        at_once.farewell().is_some()
    }

    #[test]
    fn a_frame_ends_where_the_standard_says() {
        let long = |extended: &[u8], length: usize| [&[0x82], extended, &vec![7; length]].concat();
        let server: [(&[u8], bool); 15] = [
            (b"", true),
            (b"\x81", false),
            (b"\x81\x05Hell", false),
            (b"\x81\x05Hello", true),
            (b"\x01\x03Hel", true),
            (b"\x01\x03Hel\x80\x02lo\x89\x00", true),
            (b"\xC1\x01x", true),
            (&long(&[126, 1, 0], 256), true),
            (&long(&[126, 1, 0], 255), false),
            (&long(&[127, 0, 0, 0, 0, 0, 1, 0, 0], 65536), true),
            (&long(&[127, 0, 0, 0, 0, 0, 1, 0, 0], 65535), false),
            // After a close frame, or what is no frame, there is nothing to be said.
            (b"\x88\x02\x03\xe8", false),
            (b"\x83\x00", false),
            (b"\x09\x00", false),
            (b"\x81\x81abcdx", false),
        ];
        for (bytes, whole) in server {
            assert_eq!(ends_whole(Sender::Server, bytes), whole, "{bytes:x?}");
        }
        let client: [(&[u8], bool); 4] = [
            (b"\x81\x85abcdHello", true),
            (b"\x81\x85abcdHell", false),
            (b"\x89\x80abcd\x82\x81abcdx", true),
            (b"\x81\x05Hello", false),
        ];
        for (bytes, whole) in client {
            assert_eq!(ends_whole(Sender::Client, bytes), whole, "{bytes:x?}");
        }
    }

    #[test]
    fn the_farewell_is_1001_and_a_clients_is_masked() {
        assert_eq!(Frames::new(Sender::Server).farewell().unwrap(), &b"\x88\x02\x03\xe9"[..]);
        let masked = Frames::new(Sender::Client).farewell().unwrap();
        assert_eq!(masked[..2], *b"\x88\x82");
        assert_eq!([masked[6] ^ masked[2], masked[7] ^ masked[3]], GOING_AWAY);
    }
}
