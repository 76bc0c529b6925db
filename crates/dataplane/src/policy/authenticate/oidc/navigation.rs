//! What a browser does: whether it shows a page, which a redirect can replace, and where it may be sent.

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, Method};

use crate::policy::RequestHead;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// A path to return to that is longer is forgotten: it is kept in a cookie.
pub const RETURN_BYTES: usize = 2048;

/// True where a user waits for a page: a script, an image or a frame could do nothing with a login. By Fetch Metadata;
/// of browsers without it, by `Accept`.
pub fn is_page(head: &RequestHead) -> bool {
    let headers = &head.headers;
    if head.method != Method::GET
        || [AUTHORIZATION, REQUESTED_WITH, SEC_PURPOSE].iter().any(|name| headers.contains_key(name))
    {
        return false;
    }
    if headers.contains_key(SEC_FETCH_MODE) {
        return is(headers, &SEC_FETCH_MODE, "navigate")
            && (is(headers, &SEC_FETCH_DEST, "document") || !headers.contains_key(SEC_FETCH_DEST));
    }
    let wants_html = |value: &str| {
        value
            .split(',')
            .any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case("text/html")))
    };
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(wants_html))
}

fn is(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers.get(name).is_some_and(|value| value == wanted)
}

/// The path itself where a browser that is sent there stays on our origin, else `/`. `//host` and its spellings are
/// other origins (URL Standard §4.4).
pub fn own_path(target: &str) -> &str {
    let mut bytes = target.bytes();
    let stays = bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && target.len() <= RETURN_BYTES
        && target.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\');
    if stays {
        target
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut request = http::Request::builder().method(method).uri("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn only_what_a_user_looks_at_is_a_page() {
        let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];
        assert!(is_page(&head("GET", &page)));
        assert!(is_page(&head("GET", &[("accept", "application/json;q=0.1, text/html;q=0.9, */*;q=0.8")])));
        for method in ["POST", "HEAD", "OPTIONS", "PUT"] {
            assert!(!is_page(&head(method, &page)), "{method}");
        }
        for more in [("x-requested-with", "XMLHttpRequest"), ("authorization", "Bearer x"), ("sec-purpose", "prefetch")]
        {
            assert!(!is_page(&head("GET", &[page[0], page[1], page[2], more])), "{more:?}");
        }
        for fields in [
            &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), ("accept", "text/html")],
            &[("sec-fetch-mode", "websocket")],
            &[("accept", "application/json")],
            &[("accept", "*/*")],
            &[],
        ] {
            assert!(!is_page(&head("GET", fields)), "{fields:?}");
        }
    }

    #[test]
    fn nobody_is_sent_to_another_origin() {
        for own in ["/", "/a?b=c&d=%2F%2Fevil.example", "/a//b", "/?next=https://evil.example", "/.//a"] {
            assert_eq!(own_path(own), own);
        }
        for wrong in [
            "//evil.example",
            "//evil.example/a",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "javascript:alert(1)",
            "evil.example",
            "",
            "/\t/evil.example",
            "/ /a",
            "/a\r\nb",
            "/é",
        ] {
            assert_eq!(own_path(wrong), "/", "{wrong:?}");
        }
        assert_eq!(own_path(&format!("/{}", "a".repeat(RETURN_BYTES))), "/");
    }
}
