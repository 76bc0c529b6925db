//! Types as tables: what is looked up while a message is read or written.

use prost_reflect::prost::Message as _;
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind as Described, Syntax,
};
use rustc_hash::FxHashMap;

use crate::protocol::json::quote;

/// All types of a pool.
pub struct Messages {
    shapes: Box<[Shape]>,
    enums: Box<[Enumeration]>,
    names: FxHashMap<Box<str>, usize>,
}

pub struct Shape {
    /// Full, without a dot before it.
    pub name: Box<str>,
    /// By their numbers.
    pub fields: Box<[Field]>,
    pub known: Known,
    /// Some of the fields exclude each other.
    pub(super) has_oneofs: bool,
    names: FxHashMap<Box<str>, usize>,
    /// Of a small number: the position of its field and one, or 0.
    small: Box<[u16]>,
}

/// What has JSON of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    No,
    Timestamp,
    Duration,
    FieldMask,
    Any,
    Struct,
    Value,
    ListValue,
    /// One of the messages that hold a scalar.
    Wrapper,
}

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    /// As in the `.proto` file.
    pub name: Box<str>,
    pub json_name: Box<str>,
    pub kind: Kind,
    pub plurality: Plurality,
    pub oneof: Option<usize>,
    /// Where proto2 may have declared one: a message with the default alone.
    pub(super) default: Option<Box<[u8]>>,
    /// With quotes and colon.
    pub(super) json_key: Box<[u8]>,
    pub(super) original_key: Box<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plurality {
    /// `presence`: that it is absent is not the same as that it has its default.
    One {
        presence: bool,
    },
    Many {
        packed: bool,
    },
    /// Its kind is the message of an entry: a key, then a value.
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
    Group(usize),
}

pub(super) struct Enumeration {
    pub(super) numbers: FxHashMap<Box<str>, i32>,
    /// The first name of every number, in JSON.
    pub(super) names: FxHashMap<i32, Box<[u8]>>,
    pub(super) is_null: bool,
    /// As proto2 has them: a number without a name is no value.
    closed: bool,
}

impl Enumeration {
    pub(super) fn takes(&self, number: i32) -> bool {
        !self.closed || self.names.contains_key(&number)
    }
}

impl Messages {
    pub fn compile(pool: &DescriptorPool) -> Self {
        let enums = pool.all_enums().map(|described| {
            let (mut numbers, mut names) = (FxHashMap::default(), FxHashMap::default());
            for value in described.values() {
                numbers.insert(value.name().into(), value.number());
                names.entry(value.number()).or_insert_with(|| quote(value.name()).into());
            }
            let is_null = described.full_name() == "google.protobuf.NullValue";
            let closed = described.parent_file().syntax() == Syntax::Proto2;
            Enumeration { numbers, names, is_null, closed }
        });
        let index = |names: Vec<String>| -> FxHashMap<Box<str>, usize> {
            names.into_iter().enumerate().map(|(index, name)| (name.into(), index)).collect()
        };
        let enums: Box<[Enumeration]> = enums.collect();
        let enum_names = index(pool.all_enums().map(|each| each.full_name().to_owned()).collect());
        let names = index(pool.all_messages().map(|each| each.full_name().to_owned()).collect());
        let shapes = pool.all_messages().map(|described| {
            let compiling = Compiling { messages: &names, enums: &enum_names };
            let mut oneofs = Vec::new();
            let mut fields: Vec<Field> =
                described.fields().filter_map(|field| compiling.field(&field, &mut oneofs)).collect();
            fields.extend(described.extensions().filter_map(|field| compiling.extension(&field)));
            fields.sort_by_key(|field| field.number);
            Shape::new(described.full_name(), fields)
        });
        Self { shapes: shapes.collect(), enums, names }
    }

    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub fn shape(&self, index: usize) -> &Shape {
        &self.shapes[index]
    }

    pub(super) fn enumeration(&self, index: usize) -> &Enumeration {
        &self.enums[index]
    }
}

impl Shape {
    fn new(name: &str, fields: Vec<Field>) -> Self {
        let mut names = FxHashMap::default();
        let mut small = vec![0; fields.last().map_or(0, |field| field.number.min(255) as usize + 1)];
        for (position, field) in fields.iter().enumerate() {
            // A name in JSON goes before the original name of another.
            names.entry(field.name.clone()).or_insert(position);
            if let (Some(slot), Ok(position)) = (small.get_mut(field.number as usize), u16::try_from(position + 1)) {
                *slot = position;
            }
        }
        for (position, field) in fields.iter().enumerate() {
            names.insert(field.json_name.clone(), position);
        }
        let has_oneofs = fields.iter().any(|field| field.oneof.is_some());
        let known = known(name);
        Self { name: name.into(), fields: fields.into(), known, has_oneofs, names, small: small.into() }
    }

    /// By its name in JSON or in the `.proto` file.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn position_of(&self, number: u32) -> Option<usize> {
        match self.small.get(number as usize) {
            Some(0) => None,
            Some(position) => Some(usize::from(*position) - 1),
            None => self.fields.binary_search_by_key(&number, |field| field.number).ok(),
        }
    }
}

fn known(name: &str) -> Known {
    match name.strip_prefix("google.protobuf.") {
        Some("Timestamp") => Known::Timestamp,
        Some("Duration") => Known::Duration,
        Some("FieldMask") => Known::FieldMask,
        Some("Any") => Known::Any,
        Some("Struct") => Known::Struct,
        Some("Value") => Known::Value,
        Some("ListValue") => Known::ListValue,
        Some(
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
            | "StringValue" | "BytesValue",
        ) => Known::Wrapper,
        _ => Known::No,
    }
}

struct Compiling<'a> {
    messages: &'a FxHashMap<Box<str>, usize>,
    enums: &'a FxHashMap<Box<str>, usize>,
}

impl Compiling<'_> {
    fn field(&self, field: &FieldDescriptor, oneofs: &mut Vec<String>) -> Option<Field> {
        let plurality = match field.cardinality() {
            Cardinality::Repeated if field.is_map() => Plurality::Map,
            Cardinality::Repeated => Plurality::Many { packed: field.is_packed() },
            Cardinality::Optional | Cardinality::Required => Plurality::One { presence: field.supports_presence() },
        };
        // What `optional` makes is a oneof of one, which excludes nothing.
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()).map(|oneof| {
            let name = oneof.full_name();
            oneofs.iter().position(|known| known == name).unwrap_or_else(|| {
                oneofs.push(name.to_owned());
                oneofs.len() - 1
            })
        });
        let kind = self.kind(&field.kind(), field.is_group())?;
        let mut made = made(field.number(), field.name(), field.json_name(), kind, plurality, oneof);
        let is_single =
            matches!(plurality, Plurality::One { .. }) && !matches!(kind, Kind::Message(_) | Kind::Group(_));
        if is_single && field.parent_file().syntax() == Syntax::Proto2 {
            let mut holder = DynamicMessage::new(field.parent_message().clone());
            holder.set_field(field, field.default_value());
            made.default = Some(holder.encode_to_vec().into());
        }
        Some(made)
    }

    fn extension(&self, field: &ExtensionDescriptor) -> Option<Field> {
        let plurality = match field.cardinality() {
            Cardinality::Repeated => Plurality::Many { packed: field.is_packed() },
            Cardinality::Optional | Cardinality::Required => Plurality::One { presence: true },
        };
        let kind = self.kind(&field.kind(), field.is_group())?;
        let name = format!("[{}]", field.full_name());
        Some(made(field.number(), &name, &name, kind, plurality, None))
    }

    /// None: it refers to what the pool does not have, which a pool does not allow.
    fn kind(&self, kind: &Described, group: bool) -> Option<Kind> {
        Some(match kind {
            Described::Double => Kind::Double,
            Described::Float => Kind::Float,
            Described::Int32 => Kind::Int32,
            Described::Int64 => Kind::Int64,
            Described::Uint32 => Kind::Uint32,
            Described::Uint64 => Kind::Uint64,
            Described::Sint32 => Kind::Sint32,
            Described::Sint64 => Kind::Sint64,
            Described::Fixed32 => Kind::Fixed32,
            Described::Fixed64 => Kind::Fixed64,
            Described::Sfixed32 => Kind::Sfixed32,
            Described::Sfixed64 => Kind::Sfixed64,
            Described::Bool => Kind::Bool,
            Described::String => Kind::String,
            Described::Bytes => Kind::Bytes,
            Described::Enum(described) => Kind::Enum(*self.enums.get(described.full_name())?),
            Described::Message(described) if group => Kind::Group(*self.messages.get(described.full_name())?),
            Described::Message(described) => Kind::Message(*self.messages.get(described.full_name())?),
        })
    }
}

fn made(number: u32, name: &str, json: &str, kind: Kind, plurality: Plurality, oneof: Option<usize>) -> Field {
    let key = |name: &str| [&*quote(name), b":"].concat().into();
    Field {
        number,
        name: name.into(),
        json_name: json.into(),
        kind,
        plurality,
        oneof,
        default: None,
        json_key: key(json),
        original_key: key(name),
    }
}
