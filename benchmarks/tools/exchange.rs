//! As much of HTTP/1.1 as a client of known services needs: where an answer ends, and one exchange on a connection.

use std::io::{self, Error, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a piece of an answer; then the exchange counts as failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer is, head and body together, once its head has come. One that is not 200 is an error.
pub fn answer_length(held: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize =
        length.and_then(|length| length.trim().parse().ok()).ok_or_else(|| Error::other("the answer has no length"))?;
    Ok(Some(end + length))
}

#[allow(dead_code, reason = "each program is compiled for itself, and one of them reads without blocking")]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[allow(dead_code, reason = "as above")]
impl Connection {
    pub fn open(address: &str, buffer: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; buffer] })
    }

    /// Sends a request whole and reads its answer to the last byte.
    pub fn exchange(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.stream.write_all(head)?;
        self.stream.write_all(body)?;
        let mut held = 0;
        let length = loop {
            held += self.read(held)?;
            if let Some(length) = answer_length(&self.buffer[..held])? {
                break length;
            }
        };
        while held < length {
            held += self.read(0)?;
        }
        if held == length { Ok(()) } else { Err(Error::other("the answer is longer than it said")) }
    }

    fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            some => Ok(some),
        }
    }
}
