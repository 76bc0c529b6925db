//! The policy `translate`, kind `soap`: one operation of a service, its types in one flat table.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::secret::Secret;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapTranslation {
    pub operation: SoapOperation,
    /// `${ jq }` over the request; absent: its JSON and the parameters of its path.
    pub input: Option<String>,
    /// Absent: the target's.
    pub path: Option<String>,
    /// Blocks of the header, each one element of XML.
    pub headers: Vec<Secret>,
    pub username_token: Option<UsernameToken>,
    /// Status by a fault's code, subcode or first element of its detail.
    pub faults: BTreeMap<String, u16>,
    /// Of one message, either way, as JSON and as XML.
    pub message_bytes: usize,
}

/// WS-Security UsernameToken Profile 1.1.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsernameToken {
    pub username: String,
    pub password: Secret,
    pub digest: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoapOperation {
    pub name: String,
    pub version: SoapVersion,
    pub action: String,
    /// Absent: the body is empty.
    pub input: Option<XmlElement>,
    /// Absent: there is no answer, or its body is empty.
    pub output: Option<XmlElement>,
    /// Elements of faults' details.
    pub faults: Vec<XmlElement>,
    pub types: Vec<XmlType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SoapVersion {
    #[serde(rename = "1.1")]
    V11,
    #[serde(rename = "1.2")]
    V12,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlElement {
    pub name: String,
    /// Empty: none.
    pub namespace: String,
    /// Its place in the table.
    #[serde(rename = "type")]
    pub kind: usize,
    pub nillable: bool,
    pub fixed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XmlType {
    Any {},
    Simple { kind: SimpleKind, words: Vec<String> },
    List { item: usize },
    Union { members: Vec<usize> },
    Complex(ComplexType),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplexType {
    pub name: Option<XmlName>,
    #[serde(rename = "abstract")]
    pub is_abstract: bool,
    pub attributes: Vec<XmlAttribute>,
    pub any_attribute: bool,
    pub content: XmlContent,
    pub mixed: bool,
    /// Types that may stand in its place.
    pub derived: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlName {
    pub namespace: String,
    pub local: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlAttribute {
    pub name: String,
    pub namespace: String,
    #[serde(rename = "type")]
    pub kind: usize,
    pub required: bool,
    pub fixed: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XmlContent {
    Empty,
    Text(usize),
    Elements(Particle),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Particle {
    pub min: usize,
    /// Absent: any number.
    pub max: Option<usize>,
    pub term: Term,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    Element(XmlElement),
    Sequence(Vec<Particle>),
    Choice(Vec<Particle>),
    All(Vec<Particle>),
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimpleKind {
    /// White space counts.
    String,
    Text,
    Boolean,
    Decimal,
    Float,
    Integer,
    Long,
    Int,
    Short,
    Byte,
    NonNegative,
    Positive,
    NonPositive,
    Negative,
    UnsignedLong,
    UnsignedInt,
    UnsignedShort,
    UnsignedByte,
    Date,
    DateTime,
    Time,
    Duration,
    Base64,
    Hex,
}
