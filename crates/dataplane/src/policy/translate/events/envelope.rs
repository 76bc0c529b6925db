//! What is told of an event in a WebSocket's text message: its data alone, or all of it as a JSON object.

use serde_json::{Map, Value};

use crate::protocol::event_stream::Event;

/// `{"event": …, "id": …, "data": …, "retry": …}`; the last three where the event has them.
pub(super) fn write(event: &Event) -> String {
    let mut fields = Map::new();
    fields.insert("event".into(), event.kind.as_deref().unwrap_or("message").into());
    if let Some(id) = &event.id {
        fields.insert("id".into(), id.as_str().into());
    }
    fields.insert("data".into(), event.data.as_deref().unwrap_or_default().into());
    if let Some(retry) = event.retry {
        fields.insert("retry".into(), retry.into());
    }
    Value::Object(fields).to_string()
}

/// The same object read. `data` may be any JSON, which is passed on as it is; it is what makes an event of the object.
///
/// Errors: what is wrong with it, as part of a sentence.
pub(super) fn read(text: &str) -> Result<Event, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(mut fields) = value else { return Err("it is not a JSON object".to_owned()) };
    let mut take = |name: &str| match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("its '{name}' is not a text")),
    };
    let (kind, id, retry) = (take("event")?, take("id")?, take("retry")?);
    let retry =
        retry.map(|text| text.parse().map_err(|_| "its 'retry' is not a whole number".to_owned())).transpose()?;
    let data = match fields.remove("data") {
        None => return Err("it has no 'data'".to_owned()),
        Some(Value::String(text)) => text,
        Some(value) => value.to_string(),
    };
    match fields.keys().next() {
        Some(name) => Err(format!("it has a field '{name}', which no event has")),
        None => Ok(Event { kind: kind.filter(|kind| kind != "message"), id, data: Some(data), retry }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_its_envelope() {
        let event =
            Event { kind: Some("price".into()), id: Some("7".into()), data: Some("a\nb".into()), retry: Some(9) };
        assert_eq!(write(&event), r#"{"event":"price","id":"7","data":"a\nb","retry":9}"#);
        assert_eq!(read(&write(&event)), Ok(event));
        let plain = Event { data: Some(String::new()), ..Event::default() };
        assert_eq!(write(&plain), r#"{"event":"message","data":""}"#);
        assert_eq!(read(&write(&plain)), Ok(plain));
    }

    #[test]
    fn what_is_no_event_is_told() {
        assert_eq!(
            read(r#"{"data": {"a": [1]}, "id": 7}"#).map(|event| (event.data, event.id)),
            Ok((Some("{\"a\":[1]}".into()), Some("7".into())))
        );
        for (text, wrong) in [
            ("{", "it is not JSON"),
            ("[]", "it is not a JSON object"),
            (r#"{"event": "a"}"#, "it has no 'data'"),
            (r#"{"data": 1, "event": []}"#, "its 'event' is not a text"),
            (r#"{"data": 1, "retry": 1.5}"#, "its 'retry' is not a whole number"),
            (r#"{"data": 1, "type": "a"}"#, "it has a field 'type'"),
        ] {
            let error = read(text).err().unwrap_or_default();
            assert!(error.starts_with(wrong), "{text}: {error}");
        }
    }
}
