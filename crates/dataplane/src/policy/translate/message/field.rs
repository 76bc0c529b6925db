//! A field within a message, by the names on the way to it: `shelf.name`.

use super::shape::{Field, Kind, Known, Messages, Plurality};
use super::{nested, text, MessageType};

/// Names on the way to a field.
pub const STEPS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    /// Numbers of the messages around it, outermost first.
    around: Vec<u32>,
    /// The type that has it, and its position there.
    shape: usize,
    position: usize,
    number: u32,
}

/// The field that a path leads to.
pub struct Leaf<'m> {
    pub field: &'m Field,
}

impl FieldPath {
    /// Names are those of the `.proto` file or of JSON.
    pub fn resolve(root: &MessageType, path: &str) -> Result<Self, String> {
        let messages = &*root.messages;
        let mut around = Vec::new();
        let mut shape = root.index;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let known = messages.shape(shape);
            let found = known.position(name).filter(|_| known.known == Known::No);
            let Some(position) = found else {
                return Err(format!("'{}' has no field '{name}'", known.name));
            };
            if names.peek().is_none() {
                return Ok(Self { around, shape, position, number: known.fields[position].number });
            }
            let field = &known.fields[position];
            match (field.kind, field.plurality) {
                (Kind::Message(index), Plurality::One { .. }) if around.len() < STEPS => {
                    around.push(field.number);
                    shape = index;
                }
                _ => {
                    return Err(format!(
                        "'{name}' in '{}' is not one message, and has no fields of its own",
                        known.name
                    ))
                }
            }
        }
        Err("a field has a name".to_owned())
    }

    pub fn field<'m>(&self, messages: &'m Messages) -> &'m Field {
        &messages.shape(self.shape).fields[self.position]
    }

    /// The names on the way to it, as JSON has them.
    pub fn names<'m>(&self, root: &'m MessageType, original: bool) -> Vec<&'m str> {
        let messages = &*root.messages;
        let name = |field: &'m Field| if original { &*field.name } else { &*field.json_name };
        let (mut names, mut shape) = (Vec::new(), root.shape());
        for number in &self.around {
            let Some(field) = shape.position_of(*number).map(|position| &shape.fields[position]) else { break };
            names.push(name(field));
            if let Kind::Message(index) = field.kind {
                shape = messages.shape(index);
            }
        }
        names.push(name(self.field(messages)));
        names
    }

    /// Its position where it is a field of the message itself.
    pub fn top(&self) -> Option<usize> {
        self.around.is_empty().then_some(self.position)
    }

    /// Whether its value can stand in a path or a query.
    pub fn is_textual(&self, messages: &Messages) -> bool {
        text::is_textual(messages, self.field(messages))
    }

    pub fn is_repeated(&self, messages: &Messages) -> bool {
        !matches!(self.field(messages).plurality, Plurality::One { .. })
    }

    /// Writes the value that a text says, behind what `out` holds: a message may come in pieces, of which the last one
    /// counts and lists are joined.
    pub fn put_text(&self, messages: &Messages, value: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
        self.within(messages, out, |out, leaf| match text::is_textual(messages, leaf.field) {
            false => Err("cannot be given here"),
            true if text::put_field(messages, leaf.field, value, out) => Ok(()),
            true => Err(text::expected(messages, leaf.field.kind)),
        })
    }

    /// Whether another field is this one, or one within it.
    pub fn holds(&self, other: &FieldPath) -> bool {
        let own = self.around.len();
        match other.around.len() {
            same if same == own => self == other,
            longer => longer > own && other.around[own] == self.number && other.around[..own] == self.around[..],
        }
    }

    /// Writes a message as the field's value.
    pub fn put_message(&self, messages: &Messages, message: &[u8], out: &mut Vec<u8>) {
        let written = self.within(messages, out, |out, leaf| {
            nested(out, leaf.field.number, |out| {
                out.extend_from_slice(message);
                Ok::<_, std::convert::Infallible>(())
            })
        });
        match written {
            Ok(()) => {}
        }
    }

    /// Writes what stands around the field, and `write` the field itself.
    pub(super) fn within<E>(
        &self,
        messages: &Messages,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>, Leaf<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let leaf = Leaf { field: self.field(messages) };
        let mut write = Some(write);
        around(&self.around, out, &mut |out| match write.take() {
            Some(write) => write(out, Leaf { field: leaf.field }),
            None => Ok(()),
        })
    }
}

fn around<E>(
    numbers: &[u32],
    out: &mut Vec<u8>,
    write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    match numbers.split_first() {
        None => write(out),
        Some((number, rest)) => nested(out, *number, |out| around(rest, out, write)),
    }
}
