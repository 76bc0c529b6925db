//! The PROXY protocol's header, versions 1 and 2: the address of the client as the balancer before us saw it. It comes
//! before everything else on a connection, TLS too.
//!
//! Read from the specification of 2020 (haproxy.org/download/3.0/doc/proxy-protocol.txt).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use rustix::net::{recv, RecvFlags};
use tokio::io::{AsyncReadExt, Interest};

use super::Stream;
pub use crate::snapshot::ProxyVersion as Version;

/// Of one header, with all that it carries beside the addresses; more is refused.
pub const HEADER_BYTES: usize = 4096;

/// The longest line of version 1, its line end included (§2.1).
const LINE_BYTES: usize = 107;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
const CHECKSUM: u8 = 0x03;
const NOBODY: &str = "the client's address is the unspecified one";

/// What the bytes are that have come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header.
    Partial,
    /// A header of `length` bytes. `source`: the client; none where the balancer itself connected, or could not say.
    Whole { source: Option<SocketAddr>, length: usize },
    /// No header, and why.
    Broken(&'static str),
}

/// Looks at all that has come so far, from the first byte.
pub fn parse(bytes: &[u8]) -> Parsed {
    let begins = |form: &[u8]| bytes.starts_with(form) || form.starts_with(bytes);
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(b"PROXY ") {
        line(bytes)
    } else {
        Parsed::Broken("it does not begin with a PROXY header")
    }
}

/// Version 1, §2.1.
fn line(bytes: &[u8]) -> Parsed {
    let bound = &bytes[..bytes.len().min(LINE_BYTES)];
    let Some(end) = bound.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < LINE_BYTES {
            true => Parsed::Partial,
            false => Parsed::Broken("the line is too long"),
        };
    };
    let Some(text) = bytes[..end].strip_suffix(b"\r").and_then(|text| std::str::from_utf8(text).ok()) else {
        return Parsed::Broken("the line does not end with CR LF");
    };
    match client(text) {
        Ok(source) => Parsed::Whole { source, length: end + 1 },
        Err(reason) => Parsed::Broken(reason),
    }
}

fn client(text: &str) -> Result<Option<SocketAddr>, &'static str> {
    let mut words = text.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let mut next = || words.next().unwrap_or_default();
    let (source, destination, source_port, destination_port) = (next(), next(), next(), next());
    let known = match family {
        "TCP4" => |word: &str| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |word: &str| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return Err("the family is none of TCP4, TCP6 and UNKNOWN"),
    };
    let (Some(source), Some(_)) = (known(source), known(destination)) else {
        return Err("an address is not of its family");
    };
    let (Some(source_port), Some(_)) = (port(source_port), port(destination_port)) else {
        return Err("a port is not a number up to 65535");
    };
    match words.next() {
        Some(_) => Err("there is more on the line than addresses and ports"),
        None if source.to_canonical().is_unspecified() => Err(NOBODY),
        None => Ok(Some(SocketAddr::new(source, source_port))),
    }
}

/// Without sign and leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Version 2, §2.2.
fn binary(bytes: &[u8]) -> Parsed {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Parsed::Partial };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if command >> 4 != 2 {
        return Parsed::Broken("the version is not 2");
    }
    if FIXED + length > HEADER_BYTES {
        return Parsed::Broken("the header is too long");
    }
    // Local: the balancer looks whether we are well. What else it says is not looked at.
    let is_local = match command & 15 {
        0 => true,
        1 => false,
        _ => return Parsed::Broken("the command is neither LOCAL nor PROXY"),
    };
    if family >> 4 > 3 || family & 15 > 2 {
        return Parsed::Broken("the family is not known");
    }
    let Some(content) = rest.get(..length) else { return Parsed::Partial };
    let whole = |source| Parsed::Whole { source, length: FIXED + length };
    if is_local {
        return whole(None);
    }
    let (source, addresses) = match family {
        0x11 => (content.first_chunk().map(|four: &[u8; 4]| (IpAddr::from(*four), 8)), 12),
        0x21 => (content.first_chunk().map(|sixteen: &[u8; 16]| (IpAddr::from(*sixteen), 32)), 36),
        // Unix sockets have no address that anybody could use.
        0x31 => (None, 216),
        // No family, or no protocol: to be taken as unknown, whatever follows.
        _ if family >> 4 == 0 || family & 15 == 0 => return whole(None),
        // The client of a stream has no datagrams; guessing would make the balancer the client.
        _ => return Parsed::Broken("the family is one of datagrams"),
    };
    let Some((addresses, extensions)) = content.split_at_checked(addresses) else {
        return Parsed::Broken("the header is too short for its addresses");
    };
    if source.is_some_and(|(address, _)| address.to_canonical().is_unspecified()) {
        return Parsed::Broken(NOBODY);
    }
    if let Err(reason) = examine(bytes, FIXED + length - extensions.len(), FIXED + length) {
        return Parsed::Broken(reason);
    }
    whole(
        source.map(|(address, port)| {
            SocketAddr::new(address, u16::from_be_bytes([addresses[port], addresses[port + 1]]))
        }),
    )
}

/// The extensions between `from` and `to` are whole, and a checksum is right (§2.2.3). Nothing else of them is used.
fn examine(bytes: &[u8], from: usize, to: usize) -> Result<(), &'static str> {
    let mut at = from;
    while at < to {
        let Some([kind, high, low]) = bytes[at..to].first_chunk().copied() else {
            return Err("an extension is cut off");
        };
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        if value.end > to {
            return Err("an extension is cut off");
        }
        at = value.end;
        if kind == CHECKSUM {
            let zeroed = (0..to).map(|index| if value.contains(&index) { 0 } else { bytes[index] });
            if value.len() != 4 || bytes[value.clone()] != crc32c(zeroed).to_be_bytes() {
                return Err("the checksum is wrong");
            }
        }
    }
    Ok(())
}

/// Castagnoli (RFC 3720 appendix B.4).
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum)))
}

/// Says whom a connection is for, in the header that goes before everything else on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Introduction {
    pub version: Version,
    /// None: it is for the gateway itself, or for a client without an address.
    pub source: Option<SocketAddr>,
}

impl Introduction {
    /// The header. `destination`: who is called; none where the endpoint has no address.
    pub fn encode(&self, destination: Option<SocketAddr>) -> Vec<u8> {
        let addresses = self.source.zip(destination).map(|(source, destination)| {
            let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            (canonical(source), canonical(destination))
        });
        match self.version {
            Version::V1 => text(addresses).into_bytes(),
            Version::V2 => packed(addresses),
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn text(addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((source, destination)) = addresses else { return "PROXY UNKNOWN\r\n".to_owned() };
    let (from, to) = (source.ip(), destination.ip());
    let named = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => format!("TCP4 {from} {to}"),
        _ => format!("TCP6 {} {}", mapped(from), mapped(to)),
    };
    format!("PROXY {named} {} {}\r\n", source.port(), destination.port())
}

fn packed(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination)) = addresses else {
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend([0x21, 0x21, 0, 36]);
            header.extend(mapped(from).octets());
            header.extend(mapped(to).octets());
        }
    }
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    header
}

/// Takes the header from a connection, and not one byte more: what follows stays with the kernel. An error says why
/// there is none. The caller bounds the time.
pub async fn read(stream: &mut Stream) -> io::Result<Option<SocketAddr>> {
    let (source, length) = loop {
        let ready = match &*stream {
            Stream::Tcp(stream) => stream.ready(Interest::READABLE).await?,
            Stream::Unix(stream) => stream.ready(Interest::READABLE).await?,
            // The header comes before the handshake.
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let mut parsed = Parsed::Partial;
        // Where it is not yet whole, readiness is forgotten, and the kernel tells of whatever comes after.
        let looked = match &*stream {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, || look(stream, &mut parsed)),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, || look(stream, &mut parsed)),
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        match (looked, parsed) {
            (Ok(()), Parsed::Whole { source, length }) => break (source, length),
            (Ok(()), Parsed::Broken(reason)) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
            (Err(error), _) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ if ready.is_read_closed() => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    };
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(source)
}

fn look(socket: impl AsFd, parsed: &mut Parsed) -> io::Result<()> {
    let mut buffer = [0; HEADER_BYTES];
    let (_, count) = recv(socket, &mut buffer, RecvFlags::PEEK)?;
    *parsed = parse(&buffer[..count]);
    match parsed {
        Parsed::Partial => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}
