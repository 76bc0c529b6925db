//! The service behind the proxies where bodies are large: reads a request to its last byte, then answers.
//!
//! `endpoint PORT` serves on loopback, a thread for each connection. `GET /bytes/N` is answered with N bytes whatever
//! its query, everything else with a small JSON. A request body needs a `Content-Length`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, process, thread};

const PIECE: usize = 256 * 1024;
static FILLER: [u8; PIECE] = [b'x'; PIECE];
const SMALL: &[u8] = br#"{"id":42,"name":"chair","stock":7}"#;

fn main() -> io::Result<()> {
    let Some(port) = env::args().nth(1).and_then(|port| port.parse::<u16>().ok()) else {
        eprintln!("usage: endpoint PORT");
        process::exit(2);
    };
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let stream = stream?;
        // How a connection ends is the client's affair.
        thread::Builder::new().stack_size(128 * 1024).spawn(move || serve(stream))?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; PIECE];
    let mut held = 0;
    loop {
        let end = loop {
            if let Some(end) = buffer[..held].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut buffer[held..])? {
                0 => return Ok(()),
                some => held += some,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let mut missing = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0_usize);
        let wanted = head.strip_prefix("get /bytes/").and_then(|rest| rest.split([' ', '?']).next()?.parse::<usize>().ok());
        if head.contains("\r\ntransfer-encoding:") {
            return stream.write_all(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        let body = (held - end).min(missing);
        buffer.copy_within(end + body..held, 0);
        held -= end + body;
        missing -= body;
        while missing > 0 {
            let piece = missing.min(PIECE);
            match stream.read(&mut buffer[..piece])? {
                0 => return Ok(()),
                some => missing -= some,
            }
        }
        match wanted {
            None => answer(&mut stream, SMALL)?,
            Some(wanted) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {wanted}\r\n\r\n")?;
                let mut left = wanted;
                while left > 0 {
                    let piece = left.min(PIECE);
                    stream.write_all(&FILLER[..piece])?;
                    left -= piece;
                }
            }
        }
    }
}

/// Head and body in one write.
fn answer(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let mut whole =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len())
            .into_bytes();
    whole.extend_from_slice(body);
    stream.write_all(&whole)
}
