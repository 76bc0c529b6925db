//! Where a request comes from, by the word of trusted proxies only, and how endpoints are told: `X-Forwarded-For`,
//! `-Proto` and `-Host` always, `Forwarded` (RFC 7239) where a trusted proxy began it.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HOST};
use http::{request, HeaderMap, HeaderName, HeaderValue};

use crate::cluster::hop_by_hop;
use crate::identity;
use crate::network::Networks;
use crate::transport::unix::NOWHERE;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST_ASKED: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whose word is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Networks,
    /// Whoever may connect to a Unix socket.
    unix: bool,
}

impl TrustedProxies {
    /// Addresses and networks (`10.0.0.0/8`, `::1`), and `unix`. Every mistake, each as a sentence without its place.
    pub fn parse(networks: &[String]) -> Result<Self, Vec<String>> {
        let (unix, networks): (Vec<_>, Vec<_>) = networks.iter().partition(|text| *text == "unix");
        match Networks::parse(networks) {
            Ok(networks) => Ok(Self { networks, unix: !unix.is_empty() }),
            Err(wrong) => {
                let sentence = |text| format!("'{text}' is not an address or network such as 10.0.0.0/8, nor unix");
                Err(wrong.into_iter().map(sentence).collect())
            }
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.contains(address)
    }

    /// The other end of a connection.
    pub fn believes(&self, peer: SocketAddr) -> bool {
        match peer == NOWHERE {
            true => self.unix,
            false => self.contains(peer.ip()),
        }
    }
}

/// The other end of a connection, with its address as it is written into headers.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: IpAddr,
    text: HeaderValue,
    socket: SocketAddr,
}

impl Peer {
    pub fn new(peer: SocketAddr) -> Self {
        let address = peer.ip().to_canonical();
        // The word for a client without an address (RFC 7239 §6.2).
        let text = if peer == NOWHERE { "unknown".to_owned() } else { address.to_string() };
        // An address is visible ASCII.
        let text = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        Self { address, text, socket: peer }
    }
}

/// What is known of the sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    pub address: IpAddr,
    pub scheme: &'static str,
}

/// Takes over a request's head from a client, before any policy sees it: hop-by-hop fields go, so that a client's
/// `Connection` cannot name what a policy sets later; fields that only the gateway may set go; where the request came
/// from is written down. `scheme` is that of the listener.
pub fn receive(head: &mut request::Parts, peer: &Peer, scheme: &'static str, trusted: &TrustedProxies) -> Client {
    hop_by_hop::strip_request(&mut head.headers);
    let believed = trusted.believes(peer.socket);
    let (peer, text) = (peer.address, &peer.text);
    remove_claims(&mut head.headers, believed);
    let client = if believed { client(peer, scheme, &head.headers, trusted) } else { Client { address: peer, scheme } };
    set(&mut head.headers, peer, text, client.scheme, believed);
    client
}

/// Identity always; `X-Forwarded-*`, `Forwarded` and `X-Real-IP` of a peer that is not believed, and their spellings
/// with `_` of any.
fn remove_claims(headers: &mut HeaderMap, believed: bool) {
    let is_claim = |name: &HeaderName| {
        let name = name.as_str();
        let forwarding =
            identity::spells(name, "x-forwarded-") || identity::spells(name, "x-real-ip") || name == "forwarded";
        identity::is_reserved(name) || (forwarding && (!believed || name.contains('_')))
    };
    if headers.keys().any(is_claim) {
        let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name)).cloned().collect();
        for name in claims {
            headers.remove(name);
        }
    }
}

/// The last address in the chain that is not a trusted proxy; the first of all when every one is. An entry that is no
/// address ends the chain: nobody vouches for what stands before it.
///
/// `X-Forwarded-For` goes before `Forwarded`: a proxy that writes only the former passes on whatever a client put into
/// the latter.
pub fn client(peer: IpAddr, scheme: &'static str, headers: &HeaderMap, trusted: &TrustedProxies) -> Client {
    let chain: Vec<&[u8]> = list(headers, &FOR).collect();
    let scheme = match headers.get(&PROTO).map(HeaderValue::as_bytes) {
        Some(b"https") => "https",
        Some(b"http") => "http",
        _ => scheme,
    };
    if !chain.is_empty() {
        let address = last_untrusted(peer, chain.iter().rev().map(|entry| parse_address(entry)), trusted);
        return Client { address, scheme };
    }
    let elements: Vec<&[u8]> = list(headers, &FORWARDED).collect();
    let address = last_untrusted(
        peer,
        elements.iter().rev().map(|element| parameter(element, "for").and_then(parse_address)),
        trusted,
    );
    let scheme = match elements.last().and_then(|element| parameter(element, "proto")) {
        Some(proto) if proto.eq_ignore_ascii_case(b"https") => "https",
        Some(proto) if proto.eq_ignore_ascii_case(b"http") => "http",
        _ => scheme,
    };
    Client { address, scheme }
}

fn last_untrusted(peer: IpAddr, chain: impl Iterator<Item = Option<IpAddr>>, trusted: &TrustedProxies) -> IpAddr {
    let mut last = peer;
    for entry in chain {
        let Some(address) = entry else { return last };
        last = address;
        if !trusted.contains(address) {
            return last;
        }
    }
    last
}

/// The elements of a list field over all its lines (RFC 9110 §5.6.1).
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// A parameter of one `Forwarded` element, without its quotes (RFC 7239 §4).
fn parameter<'a>(element: &'a [u8], name: &str) -> Option<&'a [u8]> {
    element.split(|byte| *byte == b';').find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        key.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}

fn set(headers: &mut HeaderMap, peer: IpAddr, text: &HeaderValue, scheme: &'static str, believed: bool) {
    if !believed || !headers.contains_key(FOR) {
        if believed {
            extend_forwarded(headers, peer);
        }
        headers.insert(FOR, text.clone());
    } else {
        let mut chain = String::new();
        extend_forwarded(headers, peer);
        for element in list(headers, &FOR) {
            if let Ok(element) = std::str::from_utf8(element) {
                chain.push_str(element);
                chain.push_str(", ");
            }
        }
        chain.push_str(text.to_str().unwrap_or_default());
        if let Ok(chain) = HeaderValue::try_from(chain) {
            headers.insert(FOR, chain);
        }
    }
    headers.insert(PROTO, HeaderValue::from_static(scheme));
    if !headers.contains_key(HOST_ASKED) {
        if let Some(host) = headers.get(HOST).cloned() {
            headers.insert(HOST_ASKED, host);
        }
    }
}

/// Only where `X-Forwarded-For` is not what we believe: an unbelieved `Forwarded` must not look as if we vouched for it.
fn extend_forwarded(headers: &mut HeaderMap, peer: IpAddr) {
    if !headers.contains_key(FORWARDED) {
        return;
    }
    if headers.contains_key(FOR) {
        headers.remove(FORWARDED);
        return;
    }
    let node = match peer {
        address if address == NOWHERE.ip() => "for=unknown".to_owned(),
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    if let Ok(node) = HeaderValue::try_from(node) {
        headers.append(FORWARDED, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(peer: &str, fields: &[(&str, &str)]) -> (Client, HeaderMap) {
        let mut request = http::Request::builder().header("host", "shop.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".into(), "2001:db8::/32".into(), "::1".into()]).unwrap();
        let client = receive(&mut head, &Peer::new(SocketAddr::new(peer.parse().unwrap(), 4711)), "http", &trusted);
        (client, head.headers)
    }

    #[test]
    fn a_client_that_is_not_trusted_is_taken_for_itself_and_what_it_claims_is_replaced() {
        let (client, headers) = received(
            "192.0.2.9",
            &[
                ("x-forwarded-for", "198.51.100.1"),
                ("x-forwarded-for", "198.51.100.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-prefix", "/admin"),
                ("x_forwarded_for", "198.51.100.3"),
                ("forwarded", "for=198.51.100.4;proto=https"),
                ("x-real-ip", "198.51.100.5"),
                ("x-consumer-id", "root"),
                ("x_consumer_groups", "admins"),
                ("connection", "x-forwarded-for, host"),
            ],
        );
        assert_eq!((client.address.to_string().as_str(), client.scheme), ("192.0.2.9", "http"));
        let mut all: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        all.sort_unstable();
        let expected = [
            ("host", "shop.example"),
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        // X-Forwarded-For as received, the client, X-Forwarded-For as sent
        for (chain, client, sent) in [
            ("198.51.100.1", "198.51.100.1", "198.51.100.1, 10.1.1.1"),
            ("spoofed, 198.51.100.1, 10.2.2.2", "198.51.100.1", "spoofed, 198.51.100.1, 10.2.2.2, 10.1.1.1"),
            (
                "203.0.113.7, 198.51.100.1:555, 10.2.2.2",
                "198.51.100.1",
                "203.0.113.7, 198.51.100.1:555, 10.2.2.2, 10.1.1.1",
            ),
            ("10.3.3.3, 10.2.2.2", "10.3.3.3", "10.3.3.3, 10.2.2.2, 10.1.1.1"),
            ("198.51.100.1, unknown, 10.2.2.2", "10.2.2.2", "198.51.100.1, unknown, 10.2.2.2, 10.1.1.1"),
            ("[2001:db9::5]:80", "2001:db9::5", "[2001:db9::5]:80, 10.1.1.1"),
            ("::ffff:198.51.100.1", "198.51.100.1", "::ffff:198.51.100.1, 10.1.1.1"),
        ] {
            let (found, headers) = received("10.1.1.1", &[("x-forwarded-for", chain), ("x-forwarded-proto", "https")]);
            assert_eq!(found.address.to_string(), client, "{chain}");
            assert_eq!(found.scheme, "https");
            assert_eq!(headers["x-forwarded-for"], sent);
            assert_eq!(headers["x-forwarded-proto"], "https");
        }
    }

    #[test]
    fn forwarded_is_believed_and_extended_only_where_it_stands_alone() {
        let element = "for=\"[2001:db9::1]:99\";proto=https, for=10.2.2.2;Proto=HTTPS;by=_x";
        let (client, headers) = received("::ffff:10.1.1.1", &[("forwarded", element)]);
        assert_eq!((client.address.to_string().as_str(), client.scheme), ("2001:db9::1", "https"));
        let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
        assert_eq!(lines, [element, "for=10.1.1.1"]);
        let (client, headers) =
            received("10.1.1.1", &[("forwarded", "for=203.0.113.1"), ("x-forwarded-for", "198.51.100.1")]);
        assert_eq!(client.address.to_string(), "198.51.100.1");
        assert!(!headers.contains_key(FORWARDED));
    }

    #[test]
    fn networks_are_addresses_with_an_optional_length() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x", "host"] {
            assert!(TrustedProxies::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        let all = TrustedProxies::parse(&["0.0.0.0/0".to_owned()]).unwrap();
        assert!(all.contains([203, 0, 113, 1].into()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        assert!(TrustedProxies::parse(&["::/0".to_owned()]).unwrap().contains([203, 0, 113, 1].into()));
    }
}
