//! Who calls, as the gateway tells endpoints: `X-Consumer-ID`, `-Groups`, `-Scopes`, `-Plan` and `-Credential`.
//! Endpoints believe these fields, so a client's own are removed under every spelling that some server reads as the same
//! name.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{utf8_percent_encode, AsciiSet, CONTROLS};

const ID: HeaderName = HeaderName::from_static("x-consumer-id");
const GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");
const SCOPES: HeaderName = HeaderName::from_static("x-consumer-scopes");
const PLAN: HeaderName = HeaderName::from_static("x-consumer-plan");
const CREDENTIAL: HeaderName = HeaderName::from_static("x-consumer-credential");

/// A comma separates groups and scopes; the rest is what a header value cannot carry safely.
const ESCAPED: &AsciiSet = &CONTROLS.add(b',').add(b'%');

/// What is known of a consumer, ready to be sent. What is not visible ASCII is percent-encoded UTF-8.
#[derive(Debug, Clone)]
pub struct Identity(Vec<(HeaderName, HeaderValue)>);

impl Identity {
    /// What there is nothing of is not sent; without an id, that is nobody's.
    pub fn new(
        id: Option<&str>,
        groups: &[Box<str>],
        scopes: &[Box<str>],
        plan: Option<&str>,
        credential: Option<&str>,
    ) -> Self {
        let list = |texts: &[Box<str>]| {
            let texts: Vec<String> = texts.iter().map(|text| escape(text)).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        };
        let fields = [
            (ID, id.map(escape)),
            (GROUPS, list(groups)),
            (SCOPES, list(scopes)),
            (PLAN, plan.map(escape)),
            (CREDENTIAL, credential.map(escape)),
        ];
        Self(fields.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?))).collect())
    }

    /// A field of the configuration's own name; `value` as `escape` makes it.
    pub fn add(&mut self, name: &HeaderName, value: &str) {
        self.0.extend(HeaderValue::try_from(value).ok().map(|value| (name.clone(), value)));
    }

    /// All that endpoints are told.
    pub fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0
    }

    pub fn set(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.insert(name, value.clone());
        }
    }
}

/// What is not visible ASCII, percent-encoded; commas too, since they separate.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// True for names that only the gateway may set. CGI, WSGI and their like read `_` and `-` as the same character.
pub fn is_reserved(name: &str) -> bool {
    spells(name, "x-consumer-") || spells(name, "x-stagedoor-") || is_certificate(name)
}

/// `Client-Cert` and `Client-Cert-Chain` (RFC 9440 §2).
fn is_certificate(name: &str) -> bool {
    spells(name, "client-cert") && (name.len() == 11 || (spells(name, "client-cert-chain") && name.len() == 17))
}

/// Whether `name` (lower-case) begins with `prefix`, taking `_` for `-`.
pub(crate) fn spells(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name.bytes().zip(prefix.bytes()).all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
}

/// Takes fields of these names away, under every spelling that some server reads as the same name.
pub fn clear(fields: &[HeaderName], headers: &mut HeaderMap) {
    let own = |name: &HeaderName| {
        fields.iter().any(|own| own.as_str().len() == name.as_str().len() && spelled(name.as_str(), own.as_str()))
    };
    let foreign: Vec<HeaderName> = headers.keys().filter(|name| own(name)).cloned().collect();
    foreign.iter().for_each(|name| while headers.remove(name).is_some() {});
}

/// Whether some server may read both as one name.
fn spelled(name: &str, own: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(plain).eq(own.bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_groups_are_sent_in_a_form_that_cannot_be_read_as_something_else() {
        let mut headers = HeaderMap::new();
        let groups = ["a,b".into(), "store front".into()];
        Identity::new(Some("zoë\r\n"), &groups, &["read".into()], Some("gold"), Some("k1")).set(&mut headers);
        assert_eq!(headers["x-consumer-id"], "zo%C3%AB%0D%0A");
        assert_eq!(headers["x-consumer-groups"], "a%2Cb,store front");
        assert_eq!(headers["x-consumer-scopes"], "read");
        assert_eq!(headers["x-consumer-plan"], "gold");
        assert_eq!(headers["x-consumer-credential"], "k1");
        let mut headers = HeaderMap::new();
        Identity::new(None, &[], &[], None, None).set(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn every_spelling_of_a_reserved_name_is_reserved() {
        for name in [
            "x-consumer-id",
            "x_consumer_id",
            "x-consumer_groups",
            "x_stagedoor-anything",
            "x-consumer-custom",
            "client-cert",
            "client_cert_chain",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["x-consume", "x-customer-id", "consumer-id", "x-request-id", "client-certs"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
