//! The least that a proxy can do, to know what of a proxy's cost is the kernel's: `relay PORT SERVICE` passes on the bytes of
//! each client over a connection of its own to the service, on loopback and one thread, and looks at none of them. A
//! request and its answer are two reads and two writes, as in every proxy.

mod poll;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use std::{env, process};

use poll::Poll;

/// By which the listener is known; the socket of a key has its other side under the key's neighbour.
const LISTENER: usize = 0;

fn main() -> io::Result<()> {
    let ports: Vec<u16> = env::args().skip(1).filter_map(|port| port.parse().ok()).collect();
    let &[port, service] = &ports[..] else {
        eprintln!("usage: relay PORT SERVICE");
        process::exit(2);
    };
    let poll = Poll::new()?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    poll.add(&listener, LISTENER)?;
    let mut sockets: Vec<Option<TcpStream>> = vec![None, None];
    let mut buffer = vec![0; 64 * 1024];
    loop {
        for key in poll.wait(Duration::from_secs(60))? {
            if key == LISTENER {
                for socket in [listener.accept()?.0, TcpStream::connect(("127.0.0.1", service))?] {
                    socket.set_nodelay(true)?;
                    socket.set_nonblocking(true)?;
                    poll.add(&socket, sockets.len())?;
                    sockets.push(Some(socket));
                }
            } else if !pass_on(&mut sockets, key, &mut buffer) {
                sockets[key] = None;
                sockets[key ^ 1] = None;
            }
        }
    }
}

/// False when either side has ended.
fn pass_on(sockets: &mut [Option<TcpStream>], key: usize, buffer: &mut [u8]) -> bool {
    let read = sockets[key].as_mut().map(|from| from.read(buffer));
    match (read, &mut sockets[key ^ 1]) {
        (Some(Ok(count @ 1..)), Some(to)) => to.write_all(&buffer[..count]).is_ok(),
        (Some(Err(error)), _) => error.kind() == ErrorKind::WouldBlock,
        _ => false,
    }
}
