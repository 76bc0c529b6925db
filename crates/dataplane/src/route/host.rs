//! Hosts: as a route names them, and as a request does.

/// Longest host name (RFC 1035 §2.3.4), less the trailing dot.
pub const MAX_HOST: usize = 253;

/// A host of a route in the form in which it is looked up; the error says what is wrong with it.
pub fn normal_host(host: &str) -> Result<Box<str>, String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let bare = without_port(name);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let address = bare.starts_with('[') && bare.ends_with(']');
    if bare.len() > MAX_HOST || !(address || bare.split('.').all(label)) {
        return Err(format!("'{host}' is not a host name, nor one after '*.'"));
    }
    if bare.len() != name.trim_end_matches('.').len() {
        return Err(format!("the host '{host}' has a port; a route matches on every port"));
    }
    let prefix = if name.len() == host.len() { "" } else { "*." };
    Ok(format!("{prefix}{}", bare.to_ascii_lowercase()).into())
}

/// The name of an authority, without port and without the dot that may end it.
pub fn without_port(authority: &str) -> &str {
    let name = match authority.rfind(':') {
        // The colons of an IPv6 address are inside its brackets.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    };
    name.strip_suffix('.').unwrap_or(name)
}
