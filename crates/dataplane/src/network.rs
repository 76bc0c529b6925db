//! Networks of addresses, in one form for IPv4 and IPv6.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: u128,
    mask: u128,
}

/// Addresses and networks (`10.0.0.0/8`, `::1`). IPv4 addresses are the same as their IPv6 mapped form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Those that are none, as they stand.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<Self, Vec<&'a str>> {
        let (mut good, mut wrong) = (Vec::new(), Vec::new());
        for text in texts {
            match parse(text) {
                Some(network) => good.push(network),
                None => wrong.push(text.as_str()),
            }
        }
        match wrong.is_empty() {
            true => Ok(Self(good)),
            false => Err(wrong),
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|network| bits & network.mask == network.address)
    }
}

/// IPv4 addresses as their IPv6 mapped form, so that a dual-stack socket's peers match IPv4 networks.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn parse(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (most, shift) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length = length.unwrap_or(most);
    if length > most {
        return None;
    }
    let mask = u128::MAX.checked_shl(128 - length - shift).unwrap_or(0);
    Some(Network { address: bits(address) & mask, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let networks = Networks::parse(&["192.0.2.0/24".to_owned(), "::ffff:198.51.100.7".to_owned()]).unwrap();
        for (address, inside) in
            [("192.0.2.9", true), ("::ffff:192.0.2.9", true), ("198.51.100.7", true), ("2001:db8::1", false)]
        {
            assert_eq!(networks.contains(address.parse().unwrap()), inside, "{address}");
        }
    }

    #[test]
    fn what_is_no_network_is_told_as_it_stands() {
        let texts = ["10.0.0.0/8".to_owned(), "10.0.0.0/33".to_owned(), "host".to_owned()];
        assert_eq!(Networks::parse(&texts), Err(vec!["10.0.0.0/33", "host"]));
    }
}
