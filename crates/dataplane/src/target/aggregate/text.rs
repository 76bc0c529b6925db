//! Texts of a call that are made from the request and from earlier answers: with `{params.id}` and the like, which cost
//! next to nothing, or with `${ jq }`.

use http::HeaderName;
use percent_encoding::utf8_percent_encode;
use stagedoor_expression::{Template, Value};

use super::failure::Failure;
use super::names::Names;
use super::round::Scope;
use crate::evaluation::{self, VALUE};
use crate::route::template::escape;

pub enum Text {
    Parts(Vec<Part>),
    Jq(Template),
}

pub enum Part {
    Text(Box<str>),
    Place(Place),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Position among the names of the route's path.
    Param(usize),
    Query(Box<str>),
    Header(HeaderName),
    ConsumerId,
    ConsumerPlan,
    /// Position among the calls, and the way to a field.
    Answer(usize, Box<[Box<str>]>),
    Item(Box<[Box<str>]>),
}

impl Place {
    fn is_answered(&self, scope: &Scope<'_>) -> bool {
        match self {
            Self::Answer(..) => true,
            Self::Item(_) => scope.call.sees_answers(),
            _ => false,
        }
    }
}

impl Text {
    pub fn compile(text: &str, names: &Names<'_>) -> Result<Self, String> {
        if text.contains("${") {
            names.check_expression(text)?;
            return Template::parse(text, &[]).map(Self::Jq).map_err(|error| error.to_string());
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        let literal = |parts: &mut Vec<Part>, part: &str| match part.contains('}') {
            true => Err(format!("'{text}' has a '}}' without its '{{'")),
            false => {
                parts.extend((!part.is_empty()).then(|| Part::Text(part.into())));
                Ok(())
            }
        };
        while let Some((before, after)) = rest.split_once('{') {
            literal(&mut parts, before)?;
            let (name, after) = after.split_once('}').ok_or_else(|| format!("'{text}' has a '{{' without its '}}'"))?;
            parts.push(Part::Place(names.place(name)?));
            rest = after;
        }
        literal(&mut parts, rest)?;
        Ok(Self::Parts(parts))
    }

    /// As `compile`; its fixed parts are escaped, and it is none that only a request finds wrong.
    pub fn compile_path(text: &str, names: &Names<'_>) -> Result<Self, String> {
        if !text.starts_with('/') && !text.trim_start().starts_with("${") {
            return Err(format!("'{text}' does not begin with '/'"));
        }
        let mut path = Self::compile(text, names)?;
        if let Self::Parts(parts) = &mut path {
            for part in parts {
                let Part::Text(text) = part else { continue };
                if let Some(wrong) = text.chars().find(|char| matches!(char, '?' | '#' | '\\') || char.is_control()) {
                    return Err(format!("'{text}' holds {wrong:?}, which never is part of a path"));
                }
                *text = escape(text).into();
            }
        }
        Ok(path)
    }

    /// The text itself where nothing is put into it.
    pub fn fixed(&self) -> Option<String> {
        match self {
            Self::Parts(parts) => parts.iter().try_fold(String::new(), |text, part| match part {
                Part::Text(part) => Some(text + part),
                Part::Place(_) => None,
            }),
            Self::Jq(_) => None,
        }
    }

    pub fn is_jq(&self) -> bool {
        matches!(self, Self::Jq(_))
    }

    /// Some of it comes from services.
    pub fn is_answered(&self, scope: &Scope<'_>) -> bool {
        self.places().any(|place| place.is_answered(scope))
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        let parts = match self {
            Self::Parts(parts) => parts.as_slice(),
            Self::Jq(_) => &[],
        };
        parts.iter().filter_map(|part| match part {
            Part::Place(place) => Some(place),
            Part::Text(_) => None,
        })
    }

    /// A path in which every value is one segment; `${ jq }` alone is a whole path, and may have a query.
    pub async fn path(&self, scope: &Scope<'_>) -> Result<String, Failure> {
        let mut path = String::new();
        match self {
            Self::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => path.push_str(text),
                        // As it stands in the routed path, still percent-encoded.
                        Part::Place(Place::Param(index)) => path.push_str(scope.raw_param(*index)),
                        Part::Place(place) => {
                            let value = scope.value(place)?.filter(|value| !value.is_empty());
                            let missing =
                                || Failure::missing(place, place.is_answered(scope), |index| scope.name(index));
                            let value = value.ok_or_else(missing)?;
                            path.extend(utf8_percent_encode(&value, VALUE));
                        }
                    }
                }
            }
            Self::Jq(template) => return scope.path(template).await,
        }
        match evaluation::leaves_its_place(&path) {
            true => {
                Err(Failure::value(self.is_answered(scope), "the values of its path make one that leaves its place"))
            }
            false => Ok(path),
        }
    }

    /// The values of a header or a parameter: none where a part of it is missing, several where jq yields a list.
    pub async fn values(&self, scope: &Scope<'_>, option: &str) -> Result<Vec<String>, Failure> {
        match self {
            Self::Parts(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(part) => text.push_str(part),
                        Part::Place(place) => match scope.value(place)? {
                            Some(value) => text.push_str(&value),
                            None => return Ok(Vec::new()),
                        },
                    }
                }
                Ok(vec![text])
            }
            Self::Jq(template) => match scope.evaluate(template, option).await? {
                Value::Null => Ok(Vec::new()),
                Value::Array(items) => Ok(items.iter().map(Value::to_text).collect()),
                value => Ok(vec![value.to_text()]),
            },
        }
    }
}
