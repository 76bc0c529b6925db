//! Values as they stand in documents and schemas.

/// Of strings only that they are some: nothing here depends on what they say.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Variable(Box<str>),
    Boolean,
    Int(i64),
    /// Also a whole number that is too large to be counted with.
    Float(f64),
    String(Box<str>),
    Enum(Box<str>),
    List(Vec<Value>),
    Object(Vec<(Box<str>, Value)>),
}

impl Value {
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(own, _)| **own == *name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Calls `each` with the name of every variable in it.
    pub fn variables<'a>(&'a self, each: &mut impl FnMut(&'a str)) {
        match self {
            Value::Variable(name) => each(name),
            Value::List(items) => items.iter().for_each(|item| item.variables(each)),
            Value::Object(members) => members.iter().for_each(|(_, value)| value.variables(each)),
            _ => {}
        }
    }
}

/// `Int!`, `[String]` and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeRef {
    Named(Box<str>),
    List(Box<TypeRef>),
    NonNull(Box<TypeRef>),
}

impl TypeRef {
    /// The name within.
    pub fn name(&self) -> &str {
        match self {
            TypeRef::Named(name) => name,
            TypeRef::List(inner) | TypeRef::NonNull(inner) => inner.name(),
        }
    }

    pub fn is_required(&self) -> bool {
        matches!(self, TypeRef::NonNull(_))
    }

    /// Without the `!` around it.
    pub fn nullable(&self) -> &TypeRef {
        match self {
            TypeRef::NonNull(inner) => inner,
            other => other,
        }
    }

    pub fn is_list(&self) -> bool {
        matches!(self.nullable(), TypeRef::List(_))
    }
}

impl std::fmt::Display for TypeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TypeRef::Named(name) => f.write_str(name),
            TypeRef::List(inner) => write!(f, "[{inner}]"),
            TypeRef::NonNull(inner) => write!(f, "{inner}!"),
        }
    }
}
