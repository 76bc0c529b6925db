//! An endpoint that reads requests by the letter of RFC 9112, answers each with its target, and tells what it saw.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::wire::{self, Kind, Message, Taken};

#[derive(Debug)]
pub enum Seen {
    Whole(Box<Message>),
    /// A request that ended early: what there is of its request line.
    Begun(String),
    Garbage(String),
}

/// Answers every whole request with its target, and reads by the letter.
pub struct Witness {
    pub address: SocketAddr,
    pub seen: mpsc::Receiver<Seen>,
    accepting: JoinHandle<()>,
}

impl Witness {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel();
        let accepting = std::thread::spawn(move || {
            let mut connections = Vec::new();
            for stream in listener.incoming() {
                let (tell, stream) = (tell.clone(), stream.unwrap());
                // The one who wants to know that there are no others: see `finish`.
                if stream.peer_addr().is_ok_and(|peer| peer.ip().to_string() == "127.0.0.2") {
                    break;
                }
                connections.push(std::thread::spawn(move || serve(stream, &tell)));
            }
            for connection in connections {
                connection.join().unwrap();
            }
        });
        Self { address, seen, accepting }
    }

    /// Everything seen. The gateway must have stopped, so that its connections end.
    pub fn finish(self) -> Vec<Seen> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        socket.connect(&self.address.into()).unwrap();
        self.accepting.join().unwrap();
        self.seen.iter().collect()
    }
}

fn serve(mut stream: TcpStream, tell: &mpsc::Sender<Seen>) {
    let (mut unread, mut buffer, mut continued) = (Vec::new(), [0; 4096], false);
    loop {
        match wire::take(&unread, Kind::Request, false) {
            Taken::Whole(message, taken) => {
                unread.drain(..taken);
                continued = false;
                let target = message.start.split(' ').nth(1).unwrap_or_default();
                let content = if message.start.starts_with("HEAD ") { "" } else { target };
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", target.len());
                tell.send(Seen::Whole(message)).unwrap();
                let _gone = stream.write_all(answer.as_bytes());
            }
            Taken::Broken(reason) => {
                tell.send(Seen::Garbage(reason)).unwrap();
                return;
            }
            Taken::Partial => {
                let text = String::from_utf8_lossy(&unread).to_ascii_lowercase();
                if text.contains("\r\n\r\n") && text.contains("\r\nexpect: 100-continue\r\n") && !continued {
                    continued = true;
                    let _gone = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => unread.extend_from_slice(&buffer[..count]),
                    _ if unread.is_empty() => return,
                    _ => {
                        let start = String::from_utf8_lossy(&unread).lines().next().unwrap_or_default().to_owned();
                        tell.send(Seen::Begun(start)).unwrap();
                        return;
                    }
                }
            }
        }
    }
}
