//! A path to ask for, with the values of the route's `{param}`s put in.

use super::params::Params;

#[derive(Debug, Clone)]
pub struct PathTemplate {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(Box<str>),
    /// Position among the route's names.
    Param(usize),
    /// Position among the names that the target itself provides.
    Own(usize),
}

impl PathTemplate {
    /// `names` are those of the route's path, `own` those that the target provides beside them.
    pub fn compile(text: &str, names: &[Box<str>], own: &[&str]) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("'{text}' does not begin with '/'"));
        }
        if let Some(wrong) = text.chars().find(|char| matches!(char, '?' | '#' | '\\') || char.is_control()) {
            return Err(format!("'{text}' holds {wrong:?}, which never is part of a path"));
        }
        let mut template = Self { text: text.into(), parts: Vec::new() };
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            template.push_text(&rest[..open])?;
            let close = rest.find('}').filter(|close| *close > open);
            let Some(close) = close else {
                return Err(format!("'{text}' has a '{{' without its '}}'"));
            };
            let name = rest[open + 1..close].trim_end_matches("...");
            if let Some(index) = names.iter().position(|known| &**known == name) {
                template.parts.push(Part::Param(index));
            } else if let Some(index) = own.iter().position(|known| *known == name) {
                template.parts.push(Part::Own(index));
            } else {
                let known: Vec<String> = names
                    .iter()
                    .map(|name| &**name)
                    .chain(own.iter().copied())
                    .map(|name| format!("'{name}'"))
                    .collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(format!("'{text}' names the parameter '{name}'; known here: {known}"));
            }
            rest = &rest[close + 1..];
        }
        template.push_text(rest)?;
        Ok(template)
    }

    fn push_text(&mut self, text: &str) -> Result<(), String> {
        if text.contains('}') {
            return Err(format!("'{}' has a '}}' without its '{{'", self.text));
        }
        if !text.is_empty() {
            self.parts.push(Part::Text(escape(text).into()));
        }
        Ok(())
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// `path` is the one that was routed, whose values go in as they are, still percent-encoded; `own` are the
    /// values of the target's names, which must be fit for a path.
    pub fn render(&self, params: &Params, path: &str, own: &[&str]) -> String {
        let mut rendered = String::with_capacity(self.text.len() + 32);
        for part in &self.parts {
            rendered.push_str(match part {
                Part::Text(text) => text,
                Part::Param(index) => params.at(*index, path).unwrap_or_default(),
                Part::Own(index) => own.get(*index).copied().unwrap_or_default(),
            });
        }
        rendered
    }
}

/// Escaped as a path must be, without touching dot segments: they may stand beside a value.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, char| {
        if char.is_ascii_graphic() && !matches!(char, '"' | '<' | '>' | '[' | ']' | '^' | '`' | '|') {
            escaped.push(char);
        } else {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_in_as_they_stand_in_the_path() {
        let mut params = Params::default();
        params.push(4, 9);
        let template = PathTemplate::compile("/v2/{id}/of {x}", &["id".into()], &["x"]).expect("valid");
        assert_eq!(template.render(&params, "/v1/a%2Fb", &["7"]), "/v2/a%2Fb/of%207");
    }

    #[test]
    fn a_wrong_template_says_what_is_wrong() {
        for (text, part) in [
            ("v2", "begin with '/'"),
            ("/{id", "without its '}'"),
            ("/id}", "without its '{'"),
            ("/{other}", "known here: 'id'"),
            ("/a?b", "never is part of a path"),
        ] {
            let message = PathTemplate::compile(text, &["id".into()], &[]).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
