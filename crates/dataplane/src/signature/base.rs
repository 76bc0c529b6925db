//! What is signed of a request: the signature base (RFC 9421 §2.5).

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{percent_decode, utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use sfv::{InnerList, Item, ItemSerializer, ListEntry, ListSerializer};

use super::Wrong;

/// Components of one signature.
pub const COMPONENTS: usize = 64;

/// As `application/x-www-form-urlencoded` leaves them, with `%20` for a space (§2.2.8).
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

const DERIVED: [&str; 7] = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];

/// As its receiver sees it.
pub struct Request<'a> {
    pub method: &'a Method,
    pub scheme: &'a str,
    pub authority: &'a HeaderValue,
    pub target: &'a PathAndQuery,
    pub headers: &'a HeaderMap,
}

/// Whether a component that a configuration asks for can be signed at all.
pub fn is_known(name: &str) -> bool {
    let field = HeaderName::from_bytes(name.as_bytes()).is_ok_and(|field| field.as_str() == name);
    DERIVED.contains(&name) || field
}

/// The names of the components that are covered as they are, without parameters that narrow them.
pub fn identifiers(covered: &InnerList) -> Vec<String> {
    let plain = covered.items.iter().filter(|item| item.params.is_empty());
    plain.filter_map(|item| item.bare_item.as_string()).map(|name| name.as_str().to_owned()).collect()
}

pub fn build(request: &Request<'_>, covered: &InnerList) -> Result<String, Wrong> {
    if covered.items.len() > COMPONENTS {
        return Err("it covers too many components");
    }
    let (mut base, mut seen) = (String::new(), Vec::new());
    for item in &covered.items {
        let identifier = ItemSerializer::new().bare_item(&item.bare_item).parameters(&item.params).finish();
        let value = value(request, item)?;
        base.push_str(&format!("{identifier}: {value}\n"));
        if seen.contains(&identifier) {
            return Err("it covers a component twice");
        }
        seen.push(identifier);
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(&parameters(covered).ok_or("its parameters cannot be written")?);
    Ok(base)
}

/// What is covered with its parameters, as `Signature-Input` has it.
pub fn parameters(covered: &InnerList) -> Option<String> {
    let mut list = ListSerializer::new();
    list.members([&ListEntry::InnerList(covered.clone())]);
    list.finish()
}

fn value(request: &Request<'_>, item: &Item) -> Result<String, Wrong> {
    let name = item.bare_item.as_string().ok_or("a component is no text")?.as_str();
    let target = request.target;
    let query = target.query();
    if name == "@query-param" {
        let only = item.params.first().filter(|(key, _)| key.as_str() == "name" && item.params.len() == 1);
        let wanted = only.and_then(|(_, value)| value.as_string()).ok_or("a query-param has no name")?;
        return parameter(query.unwrap_or_default(), wanted.as_str());
    }
    if !item.params.is_empty() {
        return Err("a component has a parameter that is not supported");
    }
    Ok(match name {
        "@method" => request.method.as_str().to_owned(),
        "@scheme" => request.scheme.to_owned(),
        "@authority" => authority(request)?,
        "@path" => target.path().to_owned(),
        "@query" => format!("?{}", query.unwrap_or_default()),
        "@request-target" => target.as_str().to_owned(),
        "@target-uri" => format!("{}://{}{}", request.scheme, authority(request)?, target.as_str()),
        _ => field(request.headers, name)?,
    })
}

/// §2.2.3: in lower case, and without the port that its scheme has anyway.
fn authority(request: &Request<'_>) -> Result<String, Wrong> {
    let host = request.authority.to_str().map_err(|_| "the authority is not ASCII")?.to_ascii_lowercase();
    let usual = if request.scheme == "https" { ":443" } else { ":80" };
    Ok(host.strip_suffix(usual).map_or(host.clone(), str::to_owned))
}

/// §2.1: every line, without the spaces around it.
fn field(headers: &HeaderMap, name: &str) -> Result<String, Wrong> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|field| field.as_str() == name);
    let name = name.ok_or("a component is none that is supported")?;
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        values.push(value.to_str().map_err(|_| "a field that it covers is not ASCII")?.trim());
    }
    match values.is_empty() {
        true => Err("a field that it covers is not there"),
        false => Ok(values.join(", ")),
    }
}

/// §2.2.8; one that is there twice cannot be covered.
fn parameter(query: &str, wanted: &str) -> Result<String, Wrong> {
    let canonical = |text: &str| {
        let text = text.replace('+', " ");
        utf8_percent_encode(&percent_decode(text.as_bytes()).decode_utf8_lossy(), FORM).to_string()
    };
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut found = pairs.filter(|(name, _)| canonical(name) == wanted);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(canonical(value)),
        _ => Err("a parameter of the query that it covers is not there, or there twice"),
    }
}
