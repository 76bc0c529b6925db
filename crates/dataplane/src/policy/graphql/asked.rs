//! What a request asks for (GraphQL over HTTP, §5), from its query or its content; and how it is written for the service.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::error::{Error, Kind};
use crate::evaluation::put_parameter;
use crate::policy::validate::json;
use crate::protocol::json::{Fault, Reader};

/// The parameters of a request. Whatever else it holds is not passed on.
const OWN: [&str; 4] = ["query", "operationName", "variables", "extensions"];
/// By which clients name documents.
const IDS: [&str; 2] = ["documentId", "id"];

/// One operation of a request.
#[derive(Default)]
pub struct Asked {
    pub query: Option<String>,
    pub operation: Option<String>,
    /// An object, or null.
    pub variables: Value,
    pub extensions: Option<Map<String, Value>>,
    /// `documentId`, or `id`.
    pub id: Option<String>,
    /// It holds more than the parameters.
    pub more: bool,
}

impl Asked {
    /// `extensions.persistedQuery.sha256Hash`, in lower case.
    pub fn hash(&self) -> Option<String> {
        let hash = self.extensions.as_ref()?.get("persistedQuery")?.get("sha256Hash")?.as_str()?;
        Some(hash.to_ascii_lowercase())
    }

    fn set(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let wrong = |what: &str| Err(Error::new(Kind::BadRequest, format!("The parameter {name} is {what}")));
        match (name, value) {
            (_, Value::Null) if OWN.contains(&name) || IDS.contains(&name) => {}
            ("query", Value::String(text)) => self.query = Some(text),
            ("operationName", Value::String(text)) => self.operation = Some(text),
            ("variables", Value::Object(members)) => self.variables = Value::Object(members),
            ("extensions", Value::Object(members)) => self.extensions = Some(members),
            ("documentId" | "id", Value::String(text)) => {
                self.more = true;
                self.id.get_or_insert(text);
            }
            ("query" | "operationName" | "documentId" | "id", _) => return wrong("no string"),
            ("variables" | "extensions", _) => return wrong("no object"),
            _ => self.more = true,
        }
        Ok(())
    }

    fn of_object(value: Value) -> Result<Self, Error> {
        let Value::Object(members) = value else {
            return Err(Error::new(Kind::BadRequest, "The content is no JSON object"));
        };
        let mut asked = Self::default();
        for (name, value) in members {
            asked.set(&name, value)?;
        }
        Ok(asked)
    }
}

/// The operations of a JSON content, and whether they came as a list.
pub fn of_content(content: &[u8], most: usize) -> Result<(Vec<Asked>, bool), Error> {
    let invalid = |why: String| Error::new(Kind::InvalidBody, format!("The request's content {why}"));
    match json::parse(content).map_err(invalid)? {
        Value::Array(items) if items.is_empty() => Err(Error::new(Kind::BadRequest, "The list of operations is empty")),
        Value::Array(_) if most == 0 => {
            Err(Error::new(Kind::BadRequest, "Here a request holds one operation, not a list of them"))
        }
        Value::Array(items) if items.len() > most => {
            Err(Error::new(Kind::OperationTooComplex, format!("Here a request holds at most {most} operations")))
        }
        Value::Array(items) => Ok((items.into_iter().map(Asked::of_object).collect::<Result<_, _>>()?, true)),
        object => Ok((vec![Asked::of_object(object)?], false)),
    }
}

pub fn of_query(query: &str) -> Result<Asked, Error> {
    let mut asked = Asked::default();
    let mut seen: Vec<String> = Vec::new();
    // Some services take it for '&'.
    if query.contains(';') {
        return Err(Error::new(Kind::BadRequest, "A semicolon in a query is written %3B"));
    }
    for (name, value) in pairs(query)? {
        let known = OWN.contains(&name.as_str()) || IDS.contains(&name.as_str());
        if known && seen.contains(&name) {
            return Err(Error::new(Kind::BadRequest, format!("The parameter {name} is given twice")));
        }
        let value = match name.as_str() {
            "variables" | "extensions" if value.is_empty() => Value::Null,
            "variables" | "extensions" => json::parse(value.as_bytes())
                .map_err(|why| Error::new(Kind::BadRequest, format!("The parameter {name} {why}")))?,
            _ => Value::String(value),
        };
        if known {
            asked.set(&name, value)?;
            seen.push(name);
        }
    }
    Ok(asked)
}

/// A content and a query side by side could be read in two ways.
pub fn refuse_in_query(query: &str) -> Result<(), Error> {
    let taken = |(name, _): &(String, String)| OWN.iter().chain(&IDS).any(|own| name.eq_ignore_ascii_case(own));
    match pairs(query)?.iter().any(taken) {
        false => Ok(()),
        true => {
            let detail = "The parameters of a POST are in its content, not in the query of its target";
            Err(Error::new(Kind::BadRequest, detail))
        }
    }
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    let text = |part: &str| {
        let spaced = part.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| Error::new(Kind::BadRequest, "The query is not UTF-8"))
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((text(name)?, text(value)?))
        })
        .collect()
}

/// What the service gets of an operation in place of what the client sent.
pub struct Written<'a> {
    pub asked: &'a Asked,
    pub text: &'a str,
    pub operation: Option<&'a str>,
    /// The text was filled in: what named it is left out.
    pub filled: bool,
}

impl Written<'_> {
    fn extensions(&self) -> Option<Value> {
        let mut extensions = self.asked.extensions.clone()?;
        if self.filled {
            extensions.shift_remove("persistedQuery");
        }
        Some(Value::Object(extensions)).filter(|extensions| extensions != &Value::Object(Map::new()))
    }

    /// `variables`: as the client wrote them.
    fn object(&self, variables: Option<&[u8]>, out: &mut Vec<u8>) {
        let mut begun = false;
        let mut member = |name: &str, value: &[u8]| {
            out.push(if begun { b',' } else { b'{' });
            begun = true;
            out.extend_from_slice(Value::from(name).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(value);
        };
        member("query", Value::from(self.text).to_string().as_bytes());
        if let Some(operation) = self.operation {
            member("operationName", Value::from(operation).to_string().as_bytes());
        }
        if let Some(variables) = variables {
            member("variables", variables);
        }
        if let Some(extensions) = self.extensions() {
            member("extensions", extensions.to_string().as_bytes());
        }
        out.push(b'}');
    }
}

/// A content anew, which `of_content` has read before.
pub fn content(before: &[u8], written: &[Written<'_>], list: bool) -> Result<Vec<u8>, Error> {
    let failed = |fault: Fault| Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {fault}"));
    let mut variables: Vec<Option<&[u8]>> = Vec::with_capacity(written.len());
    let mut reader = Reader::new(before).map_err(failed)?;
    if list {
        reader.array(json::DEPTH, |reader| raw_variables(reader).map(|raw| variables.push(raw))).map_err(failed)?;
    } else {
        variables.push(raw_variables(&mut reader).map_err(failed)?);
    }
    let mut out = Vec::with_capacity(before.len());
    if list {
        out.push(b'[');
    }
    for (index, (one, variables)) in written.iter().zip(variables).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one.object(variables, &mut out);
    }
    if list {
        out.push(b']');
    }
    Ok(out)
}

fn raw_variables<'t>(reader: &mut Reader<'t>) -> Result<Option<&'t [u8]>, Fault> {
    let mut found = None;
    reader.object(json::DEPTH, |reader, name| {
        let value = reader.skip(json::DEPTH)?;
        // A name may be written with escapes.
        if serde_json::from_slice::<String>(name).is_ok_and(|name| name == "variables") {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// A query anew; parameters that are not GraphQL's stay as they are written.
pub fn query(before: &str, written: &Written<'_>) -> String {
    let taken = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name = percent_decode_str(&name).decode_utf8_lossy();
        OWN.iter().chain(&IDS).any(|own| name == *own)
    };
    let variables = match &written.asked.variables {
        Value::Null => None,
        variables => Some(variables.to_string()),
    };
    let mut query = before.split('&').filter(|pair| !pair.is_empty() && !taken(pair)).collect::<Vec<_>>().join("&");
    let parameters = [
        ("query", Some(written.text.to_owned())),
        ("operationName", written.operation.map(str::to_owned)),
        ("variables", variables),
        ("extensions", written.extensions().map(|extensions| extensions.to_string())),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            if !query.is_empty() {
                query.push('&');
            }
            put_parameter(&mut query, name, &value);
        }
    }
    query
}
