//! One HTTP/1.1 exchange on a blocking connection: as much of the protocol as a client of known services needs.

use std::io::{self, Error, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for a piece of an answer; then the exchange counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: &str, buffer: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; buffer] })
    }

    /// Sends a request whole and reads its answer to the last byte; an answer that is not 200 is an error.
    pub fn exchange(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.stream.write_all(head)?;
        self.stream.write_all(body)?;
        let (mut held, end) = self.head()?;
        let text = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(Error::other(text.lines().next().unwrap_or_default().to_owned()));
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).ok_or_else(unframed)?;
        held -= end;
        while held < length {
            held += self.read(0)?;
        }
        if held == length { Ok(()) } else { Err(unframed()) }
    }

    /// How many bytes were read, and where among them the head ends.
    fn head(&mut self) -> io::Result<(usize, usize)> {
        let mut held = 0;
        loop {
            held += self.read(held)?;
            if let Some(end) = self.buffer[..held].windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok((held, end + 4));
            }
        }
    }

    fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            some => Ok(some),
        }
    }
}

fn unframed() -> Error {
    Error::other("the answer's length is missing or wrong")
}
