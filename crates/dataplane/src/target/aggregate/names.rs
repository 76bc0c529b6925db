//! What the texts of a call may name.

use http::HeaderName;

use super::text::Place;

/// Of one call.
pub struct Names<'a> {
    /// Of the route's path.
    pub params: &'a [Box<str>],
    /// All calls, by position.
    pub calls: &'a [&'a str],
    /// The calls that have ended before this one begins.
    pub before: &'a [usize],
    /// It is made for each item of a list.
    pub item: bool,
}

impl Names<'_> {
    /// What stands between `{` and `}`.
    pub fn place(&self, name: &str) -> Result<Place, String> {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let whole = |place: Place| if rest.is_empty() { Ok(place) } else { Err(self.unknown(name)) };
        match first {
            "params" => self.param(rest).ok_or_else(|| self.unknown(name)),
            "query" if !rest.is_empty() => Ok(Place::Query(rest.into())),
            "headers" => HeaderName::from_bytes(rest.as_bytes()).map(Place::Header).map_err(|_| self.unknown(name)),
            "consumer" if rest == "id" => Ok(Place::ConsumerId),
            "consumer" if rest == "plan" => Ok(Place::ConsumerPlan),
            "answers" => {
                let (call, field) = rest.split_once('.').unwrap_or((rest, ""));
                Ok(Place::Answer(self.answer(call)?, steps(field)))
            }
            "item" if self.item => Ok(Place::Item(steps(rest))),
            "item" => Err(format!("'{{{name}}}' needs 'each', whose items it names")),
            _ => self.param(first).map_or_else(|| Err(self.unknown(name)), whole),
        }
    }

    fn param(&self, name: &str) -> Option<Place> {
        let name = name.trim_end_matches("...");
        self.params.iter().position(|known| &**known == name).map(Place::Param)
    }

    /// The position of a call whose answer is there.
    fn answer(&self, name: &str) -> Result<usize, String> {
        let index = self.calls.iter().position(|known| *known == name);
        let index = index.ok_or_else(|| format!("there is no call '{name}' whose answer could be named"))?;
        match self.before.contains(&index) {
            true => Ok(index),
            false => Err(format!("the answer of '{name}' is not there yet: add it to 'after'")),
        }
    }

    /// Names of answers in jq, as far as they stand there as names.
    pub fn check_expression(&self, source: &str) -> Result<(), String> {
        for (at, _) in source.match_indices(".answers") {
            let rest = source[at + ".answers".len()..].trim_start();
            let rest = rest.strip_prefix('?').unwrap_or(rest);
            let name = match (rest.strip_prefix('.'), rest.strip_prefix('[')) {
                (Some(field), _) => field.trim_start().trim_start_matches('"'),
                (_, Some(key)) => match key.trim_start().strip_prefix('"') {
                    Some(key) => key,
                    None => continue,
                },
                _ => continue,
            };
            let length = name.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).unwrap_or(name.len());
            if length > 0 {
                self.answer(&name[..length])?;
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> String {
        let params: Vec<String> = self.params.iter().map(|name| format!("{{params.{name}}}")).collect();
        let params = params.iter().map(String::as_str);
        let others = ["{query.NAME}", "{headers.NAME}", "{consumer.id}", "{consumer.plan}", "{answers.CALL.FIELD}"];
        let item = self.item.then_some("{item.FIELD}");
        let known: Vec<&str> = params.chain(others).chain(item).collect();
        format!("'{{{name}}}' is not known; there are: {}", known.join(", "))
    }
}

fn steps(field: &str) -> Box<[Box<str>]> {
    field.split('.').filter(|step| !step.is_empty()).map(Box::from).collect()
}
