//! Who calls, as the gateway tells endpoints: `X-Consumer-ID` and `X-Consumer-Groups`. Endpoints believe these fields, so
//! a client's own are removed under every spelling that some server reads as the same name.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{utf8_percent_encode, AsciiSet, CONTROLS};

const ID: HeaderName = HeaderName::from_static("x-consumer-id");
const GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");

/// A comma separates groups; the rest is what a header value cannot carry safely.
const ESCAPED: &AsciiSet = &CONTROLS.add(b',').add(b'%');

/// A consumer's name and groups, ready to be sent. What is not visible ASCII is percent-encoded UTF-8.
#[derive(Debug, Clone)]
pub struct Identity {
    id: Option<HeaderValue>,
    groups: Option<HeaderValue>,
}

impl Identity {
    pub fn new(name: &str, groups: &[Box<str>]) -> Self {
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let groups: Vec<String> = groups.iter().map(|group| escape(group)).collect();
        let groups = (!groups.is_empty()).then(|| groups.join(","));
        Self {
            id: HeaderValue::try_from(escape(name)).ok(),
            groups: groups.and_then(|groups| HeaderValue::try_from(groups).ok()),
        }
    }

    pub fn set(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.id {
            headers.insert(ID, id.clone());
        }
        if let Some(groups) = &self.groups {
            headers.insert(GROUPS, groups.clone());
        }
    }
}

/// True for names that only the gateway may set. CGI, WSGI and their like read `_` and `-` as the same character.
pub fn is_reserved(name: &str) -> bool {
    spells(name, "x-consumer-") || spells(name, "x-stagedoor-")
}

/// Whether `name` (lower-case) begins with `prefix`, taking `_` for `-`.
pub(crate) fn spells(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name.bytes().zip(prefix.bytes()).all(|(byte, wanted)| byte == wanted || (byte == b'_' && wanted == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_groups_are_sent_in_a_form_that_cannot_be_read_as_something_else() {
        let mut headers = HeaderMap::new();
        Identity::new("zoë\r\n", &["a,b".into(), "store front".into()]).set(&mut headers);
        assert_eq!(headers["x-consumer-id"], "zo%C3%AB%0D%0A");
        assert_eq!(headers["x-consumer-groups"], "a%2Cb,store front");
    }

    #[test]
    fn every_spelling_of_a_reserved_name_is_reserved() {
        for name in ["x-consumer-id", "x_consumer_id", "x-consumer_groups", "x_stagedoor-anything", "x-consumer-custom"]
        {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["x-consume", "x-customer-id", "consumer-id", "x-request-id"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
