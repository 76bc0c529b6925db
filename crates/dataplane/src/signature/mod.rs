//! HTTP message signatures (RFC 9421) and digests of content (RFC 9530): what those who sign and those who verify share.

pub mod algorithm;
pub mod base;
pub mod digest;

use http::HeaderName;

pub const SIGNATURE: HeaderName = HeaderName::from_static("signature");
pub const INPUT: HeaderName = HeaderName::from_static("signature-input");

/// What is wrong with a signature, for the log.
pub type Wrong = &'static str;
