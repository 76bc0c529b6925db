//! Which fields of JSON are taken, under which names. Copied from text to text, so numbers stay as they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::protocol::json::{quote, Fault, Reader, DEPTH};
use crate::snapshot;

/// What stands in the place of a masked value.
const MASK: &[u8] = b"\"***\"";

/// Of an object, or of every object in a list.
#[derive(Debug, Default)]
pub struct Shape {
    /// Members that are not named are taken too.
    whole: bool,
    members: FxHashMap<Box<str>, Member>,
}

#[derive(Debug)]
struct Member {
    /// Its name in the outcome as JSON; None: as it is written.
    renamed: Option<Box<[u8]>>,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Take,
    Leave,
    Mask,
    Within(Shape),
}

impl Shape {
    /// None where all is taken as it is.
    pub fn compile(settings: &snapshot::Shape) -> Result<Option<Self>, String> {
        let snapshot::Shape { pick, deny, rename, mask } = settings;
        if pick.is_empty() && deny.is_empty() && rename.is_empty() && mask.is_empty() {
            return Ok(None);
        }
        let mut shape = Self { whole: pick.is_empty(), ..Self::default() };
        for field in pick {
            shape.pick(&steps(field, "pick")?);
        }
        for field in deny {
            shape.forbid(&steps(field, "deny")?, || Rule::Leave);
        }
        for field in mask {
            shape.forbid(&steps(field, "mask")?, || Rule::Mask);
        }
        shape.rename_all(rename)?;
        Ok(Some(shape))
    }

    fn pick(&mut self, steps: &[&str]) {
        let Some((first, rest)) = steps.split_first() else { return };
        let rule = || if rest.is_empty() { Rule::Take } else { Rule::Within(Self::default()) };
        let member = self.members.entry((*first).into()).or_insert_with(|| Member { renamed: None, rule: rule() });
        match &mut member.rule {
            Rule::Within(below) if !rest.is_empty() => below.pick(rest),
            // What is taken whole stays so.
            rule => *rule = Rule::Take,
        }
    }

    fn forbid(&mut self, steps: &[&str], rule: fn() -> Rule) {
        let Some((first, rest)) = steps.split_first() else { return };
        if let Some(member) = self.named(first) {
            match rest {
                [] if matches!(member.rule, Rule::Leave) => {}
                [] => member.rule = rule(),
                _ => {
                    if let Some(below) = member.below() {
                        below.forbid(rest, rule);
                    }
                }
            }
        }
    }

    fn rename_all(&mut self, rename: &BTreeMap<String, String>) -> Result<(), String> {
        for (field, name) in rename {
            let steps = steps(field, "rename")?;
            let mut shape = &mut *self;
            for (index, step) in steps.iter().enumerate() {
                let gone = || format!("rename: '{field}' is not taken");
                let member = shape.named(step).filter(|member| !matches!(member.rule, Rule::Leave)).ok_or_else(gone)?;
                if index + 1 == steps.len() {
                    member.renamed = Some(quote(name).into());
                    break;
                }
                shape = member.below().ok_or_else(gone)?;
            }
        }
        Ok(())
    }

    /// The rule of a member; None where it is left out anyway.
    fn named(&mut self, name: &str) -> Option<&mut Member> {
        if self.whole {
            self.members.entry(name.into()).or_insert(Member { renamed: None, rule: Rule::Take });
        }
        self.members.get_mut(name)
    }

    /// What is taken of a text that is valid JSON.
    pub fn apply(&self, text: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut taken = Vec::with_capacity(text.len());
        self.copy(&mut Reader::new(text)?, DEPTH, &mut taken)?;
        Ok(taken)
    }

    fn copy(&self, reader: &mut Reader<'_>, depth: usize, taken: &mut Vec<u8>) -> Result<(), Fault> {
        match reader.peek()? {
            b'{' => {
                taken.push(b'{');
                let start = taken.len();
                reader.object(depth, |reader, name| self.member(reader, name, depth - 1, start, taken))?;
                taken.push(b'}');
            }
            b'[' => {
                taken.push(b'[');
                let start = taken.len();
                reader.array(depth, |reader| {
                    comma(taken, start);
                    self.copy(reader, depth - 1, taken)
                })?;
                taken.push(b']');
            }
            // Fields were asked for, and this has none: nothing else of it may show.
            _ => {
                let scalar = reader.skip(depth)?;
                taken.extend_from_slice(if self.whole { scalar } else { b"null" });
            }
        }
        Ok(())
    }

    fn member(
        &self,
        reader: &mut Reader<'_>,
        name: &[u8],
        depth: usize,
        start: usize,
        taken: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let member = self.members.get(&*plain(name));
        let rule = member.map(|member| &member.rule);
        if matches!(rule, Some(Rule::Leave)) || (rule.is_none() && !self.whole) {
            return reader.skip(depth).map(drop);
        }
        comma(taken, start);
        taken.extend_from_slice(member.and_then(|member| member.renamed.as_deref()).unwrap_or(name));
        taken.push(b':');
        match rule {
            Some(Rule::Within(below)) => below.copy(reader, depth, taken),
            // That there is none is no secret.
            Some(Rule::Mask) => reader.skip(depth).map(|value| {
                taken.extend_from_slice(if value == b"null" { value } else { MASK });
            }),
            _ => reader.skip(depth).map(|value| taken.extend_from_slice(value)),
        }
    }
}

impl Member {
    fn below(&mut self) -> Option<&mut Shape> {
        if matches!(self.rule, Rule::Take) {
            self.rule = Rule::Within(Shape { whole: true, ..Shape::default() });
        }
        match &mut self.rule {
            Rule::Within(below) => Some(below),
            Rule::Take | Rule::Leave | Rule::Mask => None,
        }
    }
}

fn steps<'f>(field: &'f str, option: &str) -> Result<Vec<&'f str>, String> {
    let steps: Vec<&str> = field.split('.').collect();
    match steps.iter().all(|step| !step.is_empty()) && steps.len() <= DEPTH {
        true => Ok(steps),
        false => Err(format!("{option}: '{field}' is not a field such as 'address.city'")),
    }
}

fn comma(taken: &mut Vec<u8>, start: usize) {
    if taken.len() > start {
        taken.push(b',');
    }
}

/// A name without its quotes and escapes.
fn plain(name: &[u8]) -> Cow<'_, str> {
    let inner = name.get(1..name.len() - 1).unwrap_or_default();
    if inner.contains(&b'\\') {
        // A lone surrogate is no text, and no field of the configuration.
        return serde_json::from_slice::<String>(name).map_or(Cow::Borrowed("\0"), Cow::Owned);
    }
    std::str::from_utf8(inner).map_or(Cow::Borrowed("\0"), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pick: &[&str], deny: &[&str], rename: &[(&str, &str)]) -> Result<Option<Shape>, String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Shape::compile(&snapshot::Shape {
            mask: Vec::new(),
            pick: texts(pick),
            deny: texts(deny),
            rename: rename.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        })
    }

    #[test]
    fn fields_are_taken_left_and_renamed_wherever_objects_stand() {
        let answer =
            r#"{"id": 1.10, "address": {"city": "Basel", "street": "x"}, "tags": [{"a":1,"b":2},3], "\u0069d2": true}"#;
        for (pick, deny, rename, expected) in [
            (&["id"][..], &[][..], &[][..], r#"{"id":1.10}"#),
            (&["address.city", "tags.b"], &[], &[], r#"{"address":{"city":"Basel"},"tags":[{"b":2},null]}"#),
            (&["address", "address.city"], &["address.street"], &[], r#"{"address":{"city":"Basel"}}"#),
            (&[], &["address", "tags"], &[], r#"{"id":1.10,"\u0069d2":true}"#),
            (
                &["id", "address.city"],
                &[],
                &[("id", "nr"), ("address.city", "town")],
                r#"{"nr":1.10,"address":{"town":"Basel"}}"#,
            ),
            (
                &[],
                &["id", "tags.a", "address.street"],
                &[("id2", "two")],
                r#"{"address":{"city":"Basel"},"tags":[{"b":2},3],"two":true}"#,
            ),
            (&["none"], &[], &[], "{}"),
        ] {
            let shape = shape(pick, deny, rename).expect("valid").expect("a shape");
            let taken = String::from_utf8(shape.apply(answer.as_bytes()).expect("JSON")).expect("text");
            assert_eq!(taken, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&taken).is_ok());
        }
        let list = shape(&["a"], &[], &[]).expect("valid").expect("a shape");
        assert_eq!(list.apply(b"[{\"a\":1,\"b\":2},{}, \"secret\"]"), Ok(b"[{\"a\":1},{},null]".to_vec()));
        assert!(shape(&[], &[], &[]).expect("valid").is_none());
    }

    #[test]
    fn masked_values_are_hidden_whatever_they_are() {
        let settings = snapshot::Shape { mask: vec!["card.number".into(), "pin".into()], ..snapshot::Shape::default() };
        let shape = Shape::compile(&settings).expect("valid").expect("a shape");
        let text = br#"[{"card":{"number":"4111","kind":"x"},"pin":{"a":1}},{"pin":null,"card":4111}]"#;
        let masked = br#"[{"card":{"number":"***","kind":"x"},"pin":"***"},{"pin":null,"card":4111}]"#;
        assert_eq!(shape.apply(text), Ok(masked.to_vec()));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(shape(&["a..b"], &[], &[]).expect_err("wrong").contains("not a field"));
        assert!(shape(&["a"], &[], &[("b", "c")]).expect_err("wrong").contains("is not taken"));
        assert!(shape(&[], &["a"], &[("a", "c")]).expect_err("wrong").contains("is not taken"));
    }
}
