//! What a request head must be in HTTP/2 (RFC 9113 §8.2, §8.3), beyond what `h2` has seen to: framing and pseudo-fields,
//! lower-case names, no fields of a connection. It leaves as the head that every protocol has: `Host` and a path.

use http::header::{COOKIE, HOST};
use http::uri::PathAndQuery;
use http::{request, HeaderMap, HeaderValue, Method, Uri};

use crate::error::{Error, Kind};
use crate::head::{is_host, uri_too_long, Bounds};

/// The head is changed as far as it is good, so that a refused request can still be logged by its line.
pub(super) fn settle(head: &mut request::Parts, bounds: &Bounds) -> Result<(), Error> {
    let uri = std::mem::take(&mut head.uri);
    let authority = uri.authority().cloned();
    let path = uri.into_parts().path_and_query;
    // An extended CONNECT has a path like any other request (RFC 8441 §4).
    if head.method != Method::CONNECT || head.extensions.get::<h2::ext::Protocol>().is_some() {
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let length = path.as_str().len();
        head.uri = Uri::from(path);
        if length > bounds.uri_bytes {
            return Err(uri_too_long(bounds));
        }
    }
    if head.headers.len() > bounds.header_count {
        return Err(Error::new(Kind::HeadTooLarge, format!("More than {} headers", bounds.header_count)));
    }
    host(&mut head.headers, authority.as_ref().map(|authority| authority.as_str()))?;
    join_cookies(&mut head.headers);
    Ok(())
}

/// RFC 9113 §8.3.1: `:authority` stands for `Host`, and where both are there they must say the same.
fn host(headers: &mut HeaderMap, authority: Option<&str>) -> Result<(), Error> {
    let refuse = |detail| Error::new(Kind::BadRequest, detail);
    let mut hosts = headers.get_all(HOST).iter();
    let given = hosts.next().cloned();
    if hosts.next().is_some() {
        return Err(refuse("Host is given more than once"));
    }
    let host = match (authority, given) {
        (None, None) => return Err(refuse("The authority is missing")),
        (None, Some(host)) => host,
        (Some(authority), given) => {
            if given.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())) {
                return Err(refuse("Host and :authority disagree"));
            }
            HeaderValue::from_str(authority).map_err(|_| refuse("The authority is not a valid host"))?
        }
    };
    if !is_host(host.as_bytes()) {
        return Err(refuse("The authority is not a valid host"));
    }
    headers.insert(HOST, host);
    Ok(())
}

/// RFC 9113 §8.2.3: cookies may come as several fields, and must be one where HTTP/1.1 follows.
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // What was valid in pieces is valid when joined.
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const BOUNDS: Bounds = Bounds { head_bytes: 2048, uri_bytes: 64, header_count: 4 };

    fn settled(uri: &str, fields: &[(&'static str, &str)]) -> Result<request::Parts, u16> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut head = request.body(()).unwrap().into_parts().0;
        settle(&mut head, &BOUNDS).map_err(|error| error.kind.status())?;
        Ok(head)
    }

    #[test]
    fn the_authority_becomes_the_host_and_the_target_a_path() {
        let head = settled("http://shop.example:81/a?b", &[("host", "SHOP.example:81")]).unwrap();
        assert_eq!(
            (head.uri.to_string().as_str(), &head.headers["host"]),
            ("/a?b", &"shop.example:81".parse().unwrap())
        );
        assert_eq!(settled("/a", &[("host", "a")]).unwrap().headers["host"], "a");
    }

    #[test]
    fn heads_that_name_no_host_or_two_are_refused() {
        assert_eq!(settled("/a", &[]).err(), Some(400));
        assert_eq!(settled("http://a/", &[("host", "b")]).err(), Some(400));
        assert_eq!(settled("http://a/", &[("host", "a"), ("host", "a")]).err(), Some(400));
        assert_eq!(settled("http://user@a/", &[]).err(), Some(400));
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(settled(&format!("http://a/{}", "x".repeat(64)), &[]).err(), Some(414));
        let many = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")];
        assert_eq!(settled("http://a/", &many).err(), Some(431));
    }

    #[test]
    fn cookies_become_one_field() {
        let head = settled("http://a/", &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]).unwrap();
        assert_eq!(head.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
