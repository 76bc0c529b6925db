//! Server-sent events for clients of WebSocket, and the other way round.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslateEvents {
    pub service: EventService,
    /// Messages of the WebSocket are JSON objects with all that an event has; otherwise its data alone.
    pub envelope: bool,
    /// Parameter of the query, on the WebSocket's side, that says what `Last-Event-ID` does on the other.
    pub last_event_id: Option<String>,
    /// Of the WebSocket.
    pub subprotocol: Option<String>,
    pub keep_alive_ms: u64,
    /// Of one event or message.
    pub message_bytes: usize,
    /// WebSockets of the route at once, over all workers.
    pub connections: usize,
}

/// What the service speaks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EventService {
    EventStream {
        refuse_messages: bool,
        drain_ms: u64,
        reconnect: Option<Reconnect>,
    },
    Websocket {
        /// Binary messages as base64; otherwise they end the stream.
        binary: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    pub delay_ms: u64,
    /// In a row without an event.
    pub attempts: u32,
}
