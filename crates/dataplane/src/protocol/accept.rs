//! What a client takes, by its `Accept` (RFC 9110 §12.5.1).

use http::header::ACCEPT;
use http::HeaderMap;

/// A media range, in lower case. `*` stands for any type or subtype.
pub struct Range {
    pub kind: String,
    pub subtype: String,
    /// Thousandths.
    pub quality: u16,
}

/// In the order of the header; what cannot be read is left out.
pub fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(range).collect()
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = match quality {
        None => 1000,
        Some(text) => (text.parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality))? * 1000.0) as u16,
    };
    Some(Range { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), quality })
}

/// By the most specific range.
pub fn quality(ranges: &[Range], (kind, subtype): (&str, &str)) -> u16 {
    let specific = |range: &&Range| match (range.kind == kind, range.subtype == subtype) {
        (true, true) => Some(2),
        (true, false) if range.subtype == "*" => Some(1),
        _ if range.kind == "*" && range.subtype == "*" => Some(0),
        _ => None,
    };
    let fitting = ranges.iter().filter_map(|range| Some((specific(&range)?, range.quality)));
    fitting.max_by_key(|(specific, _)| *specific).map_or(0, |(_, quality)| quality)
}
