//! Client certificates and whose they are.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// What of a certificate is looked at.
    pub by: Vec<CertificateField>,
    /// What endpoints are told of it (RFC 9440); absent: nothing.
    pub forward: Option<ForwardedCertificate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardedCertificate {
    /// `Client-Cert`.
    Certificate,
    /// And `Client-Cert-Chain`.
    Chain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateField {
    Subject,
    Dns,
    Uri,
    Email,
    Ip,
    Spiffe,
    Sha256,
}

impl CertificateField {
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Spiffe => "spiffe",
            Self::Sha256 => "sha256",
        }
    }
}

/// By which a certificate is known to be its consumer's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub field: CertificateField,
    /// In the one form that a certificate's is brought into: DNS names and hex in lower case.
    pub value: String,
}
