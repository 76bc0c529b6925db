//! An endpoint's side of HTTP/2 frame by frame, so that a test decides what is said and when (RFC 9113 §4, §6).

use std::io::{Read, Write};

use crate::endpoint::Connection;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// `:status: 200`, as the static table has it (RFC 7541 appendix A).
pub const OK: &[u8] = &[0x88];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub struct Frames {
    pub connection: Connection,
}

impl Frames {
    /// Takes the client's preface and sends SETTINGS with these values.
    pub fn begin(mut connection: Connection, settings: &[(u16, u32)]) -> Self {
        let mut preface = [0; PREFACE.len()];
        connection.stream.read_exact(&mut preface).unwrap();
        assert_eq!(preface, PREFACE);
        let mut frames = Self { connection };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| name.to_be_bytes().into_iter().chain(value.to_be_bytes()).collect::<Vec<u8>>())
            .collect();
        frames.send(SETTINGS, 0, 0, &payload);
        frames
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.connection.stream.write_all(&frame).is_ok()
    }

    /// A whole answer: 200 and this content.
    pub fn answer(&mut self, stream: u32, content: &[u8]) -> bool {
        self.send(HEADERS, END_HEADERS, stream, OK) && self.send(DATA, END_STREAM, stream, content)
    }

    pub fn reset(&mut self, stream: u32, reason: u32) -> bool {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes())
    }

    pub fn go_away(&mut self, last: u32) -> bool {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
    }

    /// The next frame; SETTINGS and PING are answered, None at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.connection.stream.read_exact(&mut head).ok()?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.connection.stream.read_exact(&mut payload).ok()?;
            let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
            let frame = Frame { kind: head[3], flags: head[4], stream, payload };
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS | PING, ACK) => {}
                (SETTINGS, _) => drop(self.send(SETTINGS, ACK, 0, &[])),
                (PING, _) => drop(self.send(PING, ACK, 0, &frame.payload)),
                _ => return Some(frame),
            }
        }
    }

    /// The next frame of this kind; others are passed over.
    pub fn wait(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads on until the client closes.
    pub fn rest(mut self) {
        while self.next().is_some() {}
    }
}

/// A literal field that is not indexed (RFC 7541 §6.2.2); both parts shorter than 127 bytes.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0, name.len() as u8];
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(value.len() as u8);
    bytes.extend_from_slice(value.as_bytes());
    bytes
}
