//! Lets clients go over to another protocol, such as WebSocket. Without it they cannot: their request goes on as a plain
//! one. All that is asked of a request before this policy is asked of the handshake.

use std::time::Duration;

use serde_json::{json, Value};

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::upgrade::{Full, Grant};
use crate::snapshot;

/// What would take requests past the gateway's policies, or hide them: HTTP itself, and encryption.
const NEVER: [&str; 3] = ["h2c", "http", "tls"];

pub struct Upgrade {
    protocols: Vec<Box<str>>,
    idle: Duration,
    drain: Duration,
    /// Tunnels of the route at once, over all workers.
    connections: usize,
}

impl Upgrade {
    pub fn new(settings: &snapshot::Upgrade) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        for protocol in &settings.protocols {
            let name = protocol.split('/').next().unwrap_or_default();
            if NEVER.iter().any(|never| name.eq_ignore_ascii_case(never)) {
                errors.push(format!("'{protocol}' would take requests past the gateway's policies"));
            }
        }
        if settings.protocols.is_empty() {
            errors.push("at least one protocol must be named".to_owned());
        }
        if settings.idle_ms == 0 {
            errors.push("an idle time of 0 ms lets nothing through".to_owned());
        }
        if settings.connections == 0 {
            errors.push("at least one connection must be allowed".to_owned());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            protocols: settings.protocols.iter().map(|protocol| protocol.as_str().into()).collect(),
            idle: Duration::from_millis(settings.idle_ms),
            drain: Duration::from_millis(settings.drain_ms),
            connections: settings.connections,
        })
    }

    pub fn allows_websocket(&self) -> bool {
        self.protocols.iter().any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
    }

    /// Grants what the request asks for, if it is among what is allowed.
    pub fn on_request(&self, exchange: &mut Exchange) -> Result<(), Error> {
        let (Some(wish), Some(route)) = (&exchange.wish, &exchange.route) else { return Ok(()) };
        let place = || route.metrics.enter_tunnel(self.connections);
        exchange.grant = match Grant::new(wish, &self.protocols, (self.idle, self.drain), place) {
            None => None,
            Some(Ok(grant)) => Some(grant),
            Some(Err(Full)) => {
                let detail = "As many upgraded connections as the route allows are open";
                return Err(Error::new(Kind::Overloaded, detail));
            }
        };
        Ok(())
    }

    pub fn describe(&self) -> Value {
        json!({
            "protocols": self.protocols,
            "idle_ms": self.idle.as_millis() as u64,
            "drain_ms": self.drain.as_millis() as u64,
            "connections": self.connections,
        })
    }
}
