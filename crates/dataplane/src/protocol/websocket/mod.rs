//! WebSocket's framing (RFC 6455 §5.2), without I/O: frames that are followed on their way through, and messages that are
//! read and written where the gateway itself is an end.

mod frames;
mod messages;

use bytes::Bytes;

pub(super) use frames::Frames;
pub(crate) use messages::{close, write, Message, Messages, Violation};

/// Of a control frame's payload.
const CONTROL: u64 = 125;

/// Who sends the frames: a client's are masked, a server's are not (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.bits() >= 8
    }
}

/// The first bytes of a frame.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// The last frame of its message.
    whole: bool,
    /// Bits that an extension gives a meaning to.
    reserved: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Of the payload.
    length: u64,
    /// Of the head itself.
    size: usize,
}

/// What comes is no WebSocket.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

impl Head {
    /// The longest: two bytes, a length of eight, a mask of four.
    const LONGEST: usize = 14;

    /// None while it is not whole.
    fn read(bytes: &[u8], sender: Sender) -> Result<Option<Self>, Malformed> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let masked = second & 0x80 != 0;
        let opcode = Opcode::of(first & 0x0F).filter(|_| masked == (sender == Sender::Client)).ok_or(Malformed)?;
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((extended, rest)) = rest.split_at_checked(extended) else { return Ok(None) };
        let length = match extended {
            [] => u64::from(second & 0x7F),
            bytes => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let mask = match (masked, rest) {
            (false, _) => [0; 4],
            (true, [a, b, c, d, ..]) => [*a, *b, *c, *d],
            (true, _) => return Ok(None),
        };
        let whole = first & 0x80 != 0;
        if opcode.is_control() && (!whole || length > CONTROL) {
            return Err(Malformed);
        }
        let size = 2 + extended.len() + if masked { 4 } else { 0 };
        Ok(Some(Self { whole, reserved: first & 0x70 != 0, opcode, mask, length, size }))
    }
}

/// RFC 6455 §5.3: the same makes it and takes it off.
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// A whole frame.
fn frame(sender: Sender, opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(Head::LONGEST + payload.len());
    bytes.push(0x80 | opcode.bits());
    let masked = if sender == Sender::Client { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..=125 => bytes.push(masked | length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(masked | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(masked | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if sender == Sender::Client {
        bytes.extend_from_slice(&fastrand::u32(..).to_be_bytes());
    }
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if sender == Sender::Client {
        let (head, payload) = bytes.split_at_mut(start);
        if let [.., a, b, c, d] = head {
            apply_mask(payload, [*a, *b, *c, *d]);
        }
    }
    bytes.into()
}
