//! Which origins a policy means: one exactly, all hosts below a name, any port. Compared part by part, so that no text that
//! merely ends or begins alike is taken for another.

use http::HeaderValue;

/// Origins as browsers send them: scheme, host and port in lower case (Fetch §3.2.1).
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    Exact(HeaderValue),
    Pattern { scheme: Box<str>, host: Host, port: Port },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Host {
    Exact(Box<str>),
    /// `.example.com`: every host below it, at any depth; not itself.
    Below(Box<str>),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Port {
    /// Empty: that of the scheme, which browsers leave out.
    Exact(Box<str>),
    Any,
}

impl Origin {
    /// Errors: what is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an origin as browsers send it, such as 'https://example.com'");
        if !text.contains('*') {
            let value = HeaderValue::from_str(text).ok().filter(|_| is_origin(text));
            return value.map(Self::Exact).ok_or_else(wrong);
        }
        let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
        let (host, port) = match authority.strip_suffix(":*") {
            Some(host) => (host, Port::Any),
            None => {
                let (host, port) = parts(authority).ok_or_else(wrong)?;
                (host, Port::Exact(port.into()))
            }
        };
        let host = match host.strip_prefix('*') {
            Some(below) => {
                // Everybody may have a host below `com`.
                if !below.starts_with('.') || below.matches('.').count() < 2 {
                    return Err(format!("'{text}': '*.' stands before a name of at least two parts"));
                }
                Host::Below(below.into())
            }
            None => Host::Exact(host.into()),
        };
        let (Host::Exact(name) | Host::Below(name)) = &host;
        let name = name.strip_prefix('.').unwrap_or(name);
        let is_name = name.starts_with('[') || name.split('.').all(|label| !label.is_empty());
        let is_host = is_name && parts(name).is_some_and(|(_, port)| port.is_empty());
        match is_host && is_origin(&format!("{scheme}://{name}")) {
            true => Ok(Self::Pattern { scheme: scheme.into(), host, port }),
            false => Err(wrong()),
        }
    }

    pub fn matches(&self, origin: &HeaderValue) -> bool {
        let (scheme, host, port) = match self {
            Self::Exact(value) => return value == origin,
            Self::Pattern { scheme, host, port } => (scheme, host, port),
        };
        let Some((asked, authority)) = origin.to_str().ok().and_then(|origin| origin.split_once("://")) else {
            return false;
        };
        let Some((name, number)) = parts(authority) else { return false };
        let host = match host {
            Host::Exact(host) => **host == *name,
            Host::Below(suffix) => name.strip_suffix(&**suffix).is_some_and(|below| {
                below.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_a_name))
            }),
        };
        let port = match port {
            Port::Exact(port) => **port == *number,
            Port::Any => true,
        };
        **scheme == *asked && host && port
    }

    pub fn text(&self) -> String {
        match self {
            Self::Exact(value) => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            Self::Pattern { scheme, host, port } => {
                let host = match host {
                    Host::Exact(host) => host.to_string(),
                    Host::Below(suffix) => format!("*{suffix}"),
                };
                match port {
                    Port::Any => format!("{scheme}://{host}:*"),
                    Port::Exact(port) if port.is_empty() => format!("{scheme}://{host}"),
                    Port::Exact(port) => format!("{scheme}://{host}:{port}"),
                }
            }
        }
    }
}

/// Host and port; the latter empty where there is none.
fn parts(authority: &str) -> Option<(&str, &str)> {
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(end)?;
    match rest.strip_prefix(':') {
        None => rest.is_empty().then_some((host, "")),
        Some(port) => {
            let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
            is_port.then_some((host, port))
        }
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
}

/// `null`, or scheme, host and port with no path, lower-case (Fetch §3.2.1).
pub fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return text == "null";
    };
    let plain = |char: char| char.is_ascii_graphic() && !char.is_ascii_uppercase() && !"/?#*@,\"".contains(char);
    !scheme.is_empty() && !authority.is_empty() && text.replacen("://", "", 1).chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_what_it_says_and_nothing_that_looks_alike() {
        let case = |line: &str| {
            let (pattern, rest) = line.split_once(' ').expect("a pattern");
            let origin = Origin::parse(pattern).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(origin.text(), pattern);
            for asked in rest.split_whitespace() {
                let (expected, asked) = asked.split_at(1);
                let asked = HeaderValue::from_str(asked).expect("a value");
                assert_eq!(origin.matches(&asked), expected == "+", "{pattern} {asked:?}");
            }
        };
        for line in include_str!("../../../tests/cases/origins.txt").lines().filter(|line| !line.starts_with('#')) {
            case(line);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in [
            "https://*",
            "https://*.com",
            "https://*example.com",
            "https://a.*.example.com",
            "https://*.*.example.com",
            "*.example.com",
            "*://example.com",
            "https://*.example.com/",
            "https://*.Example.com",
            "https://*.example.com:",
            "https://*.example.com:123456",
            "https://*.example.com:8*",
            "https://a@*.example.com",
            "https://[*]",
            "https://*.a..b",
            "https://:*",
            "https://a:b:*",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
