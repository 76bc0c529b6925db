//! What a request of the Connect protocol says of itself: how it is written, and where its message is.

use std::borrow::Cow;

use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::error::{Error, Kind};
use crate::protocol::coding::Coding;
use crate::protocol::connect::{self, Codec, Form};
use crate::protocol::media;

pub(super) const STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
pub(super) const STREAM_ACCEPT: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// The message of a GET, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where the message is that a request begins with.
#[derive(Debug)]
pub(super) enum Place {
    Content,
    /// Of a GET, still compressed.
    Query(Bytes),
    NotBase64,
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) form: Form,
    pub(super) codec: Codec,
    pub(super) place: Place,
    /// As the request names it.
    encoding: Option<Cow<'static, [u8]>>,
}

impl Asked {
    /// None: it is no request of Connect.
    pub(super) fn of(method: &Method, headers: &HeaderMap, query: Option<&str>) -> Option<Self> {
        match *method {
            Method::POST => Self::by_type(headers),
            Method::GET => Self::by_query(query?),
            _ => None,
        }
    }

    fn by_type(headers: &HeaderMap) -> Option<Self> {
        let kind = media::essence(headers)?.to_ascii_lowercase();
        let kind = kind.strip_prefix(b"application/")?;
        let stream = kind.strip_prefix(b"connect+");
        let codec = Codec::of(stream.unwrap_or(kind))?;
        let (form, name) = match stream {
            Some(_) => (Form::Stream(codec), STREAM_ENCODING),
            None => (Form::Unary, CONTENT_ENCODING),
        };
        let encoding = headers.get(name).map(|value| value.as_bytes().to_vec().into());
        Some(Self { form, codec, place: Place::Content, encoding })
    }

    /// Parameters in any order, others among them.
    fn by_query(query: &str) -> Option<Self> {
        let (mut codec, mut message, mut base64, mut encoding) = (None, None, false, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "encoding" => codec = Codec::of(value.as_bytes()),
                "message" => message = Some(decoded(value)),
                "base64" => base64 = value == "1",
                "compression" => encoding = Some(Cow::Owned(decoded(value))),
                _ => {}
            }
        }
        let (codec, message) = (codec?, message?);
        let place = match base64 {
            true => BASE64.decode(message).map_or(Place::NotBase64, |message| Place::Query(message.into())),
            false => Place::Query(message.into()),
        };
        Some(Self { form: Form::Unary, codec, place, encoding })
    }

    pub(super) fn is_get(&self) -> bool {
        !matches!(self.place, Place::Content)
    }

    /// How its messages are compressed.
    ///
    /// Errors: `MethodNotImplemented` (`unimplemented`), with those that are taken.
    pub(super) fn coding(&self) -> Result<Coding, Error> {
        let name = self.encoding.as_deref().unwrap_or_default();
        Coding::named(name).filter(|coding| *coding != Coding::Deflate).ok_or_else(|| {
            let detail = "The request's compression is not supported; supported are gzip, br, zstd and identity";
            Error::new(Kind::MethodNotImplemented, detail)
        })
    }

    /// Whether the client takes answers in gzip. Without a word it takes what it has sent.
    pub(super) fn takes_gzip(&self, headers: &HeaderMap) -> bool {
        let name = if self.form == Form::Unary { ACCEPT_ENCODING } else { STREAM_ACCEPT };
        let mut accepted = headers.get_all(name).iter().peekable();
        if accepted.peek().is_none() {
            return self.encoding.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(b"gzip"));
        }
        let mut names = accepted.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        names.any(|name| {
            let mut parts = name.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"gzip"));
            named
                && !parts.any(|part| part.starts_with(b"q=0") && !part.iter().any(|byte| (b'1'..=b'9').contains(byte)))
        })
    }

    /// The version that it names is one; none at all only where none is `required`.
    ///
    /// Errors: `BadRequest` (`invalid_argument`).
    pub(super) fn check_version(&self, headers: &HeaderMap, query: Option<&str>, required: bool) -> Result<(), Error> {
        let parameter = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("connect=")));
        let (named, right, place) = match self.is_get() {
            true => (parameter.map(str::as_bytes), &b"v1"[..], "the query's 'connect' as v1"),
            false => {
                let named = headers.get(connect::VERSION).map(HeaderValue::as_bytes);
                (named, &b"1"[..], "Connect-Protocol-Version as 1")
            }
        };
        match named {
            None if !required => Ok(()),
            Some(named) if named == right => Ok(()),
            _ => Err(Error::new(Kind::BadRequest, format!("The request must name {place}"))),
        }
    }
}

fn decoded(value: &str) -> Vec<u8> {
    let plain = value.replace('+', " ");
    percent_encoding::percent_decode_str(&plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Option<(Codec, Option<Vec<u8>>, Option<Coding>)> {
        let asked = Asked::of(&Method::GET, &HeaderMap::new(), Some(query))?;
        let message = match &asked.place {
            Place::Query(message) => Some(message.to_vec()),
            Place::Content | Place::NotBase64 => None,
        };
        Some((asked.codec, message, asked.coding().ok()))
    }

    #[test]
    fn the_message_of_a_get_is_read_from_its_query_in_any_order() {
        let json = |text: &str| Some((Codec::Json, Some(text.as_bytes().to_vec()), Some(Coding::Identity)));
        assert_eq!(asked("connect=v1&encoding=json&message=%7B%22a%22%3A%22b+c%22%7D"), json("{\"a\":\"b c\"}"));
        assert_eq!(asked("message=e30&x=1&base64=1&encoding=json"), json("{}"));
        assert_eq!(asked("encoding=json&message=e30%3D&base64=1"), json("{}"));
        assert_eq!(asked("encoding=json&message=e30&base64=true"), json("e30"));
        assert_eq!(asked("encoding=json&message=e3%2F&base64=1"), Some((Codec::Json, None, Some(Coding::Identity))));
        let packed = Some((Codec::Proto, Some(vec![0xFB, 0xFF]), Some(Coding::Gzip)));
        assert_eq!(asked("encoding=proto&message=-_8&base64=1&compression=gzip"), packed);
        assert_eq!(asked("encoding=proto&message=&compression=lzw"), Some((Codec::Proto, Some(vec![]), None)));
        for other in ["", "encoding=json", "message=e30", "encoding=xml&message=a"] {
            assert_eq!(asked(other), None, "{other}");
        }
    }

    #[test]
    fn a_client_takes_gzip_where_it_says_so_or_has_sent_it() {
        let table = [
            (Some("gzip"), "", true),
            (Some("br, GZIP;q=0.5"), "", true),
            (Some("gzip;q=0.0, br"), "gzip", false),
            (Some("identity"), "gzip", false),
            (None, "gzip", true),
            (None, "br", false),
            (None, "", false),
        ];
        for (accept, sent, takes) in table {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/proto"));
            headers.extend(accept.map(|accept| (ACCEPT_ENCODING, HeaderValue::from_static(accept))));
            if !sent.is_empty() {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(sent));
            }
            let asked = Asked::of(&Method::POST, &headers, None).unwrap();
            assert_eq!(asked.takes_gzip(&headers), takes, "{accept:?} {sent}");
        }
    }
}
