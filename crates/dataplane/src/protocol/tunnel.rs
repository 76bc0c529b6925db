//! Two connections that have become one: bytes go through as they come, no faster than the other side takes them. At
//! most one piece each way is held, and none while nothing is under way.

use std::future::{poll_fn, Future};
use std::io;
use std::pin::{pin, Pin};
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep_until, Instant, Sleep};

use super::connection::Connection;
use super::websocket::{Frames, Sender};
use crate::cluster::Tunnel;

/// How long a tunnel that the gateway ends may take to say so, and to hear out what is on its way already.
const FAREWELL: Duration = Duration::from_secs(1);

/// One end of a tunnel.
pub(crate) trait Side {
    /// What has come; None when nothing follows.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>>;

    /// Passes `data` on, which is advanced. Ready when all of it has left.
    fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing follows; the other way stays open.
    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A far side that the gateway itself is: when nothing follows from it, the tunnel is over.
pub(crate) trait Made: Side {
    /// Why it ended, where that does not show in the bytes.
    fn end(&self) -> Option<End>;
}

/// Why a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides said that nothing follows.
    Finished,
    /// No byte for too long.
    Idle,
    /// The gateway is shutting down.
    Drained,
    ClientGone,
    EndpointGone,
}

impl End {
    /// As it stands in the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Finished => "finished",
            End::Idle => "idle",
            End::Drained => "drained",
            End::ClientGone => "client_gone",
            End::EndpointGone => "endpoint_gone",
        }
    }

    /// Whoever is left must not take what it has for everything.
    pub(super) fn is_broken(self) -> bool {
        matches!(self, End::ClientGone | End::EndpointGone)
    }
}

/// Passes bytes on until the tunnel ends, in whichever way. `note` is told how many have come from the client and how many
/// have come from the endpoint.
pub(super) async fn relay(
    client: &mut impl Side,
    tunnel: &mut Tunnel,
    connection: &Connection,
    mut note: impl FnMut(u64, u64),
) -> End {
    let frames = |sender| tunnel.grant.is_websocket().then(|| Frames::new(sender));
    let mut up = Lane { frames: frames(Sender::Client), ..Lane::default() };
    // The answer to the handshake may still have to leave.
    let mut down = Lane { giving: true, frames: frames(Sender::Server), ..Lane::default() };
    let mut idle = Idle::new(tunnel.grant.idle);
    let drain = tunnel.grant.drain;
    let mut drained = pin!(async {
        let latest = connection.drained().await;
        sleep_until(latest.min(Instant::now().into_std() + drain).into()).await;
    });
    let end = poll_fn(|context| {
        let before = (up.progress(), down.progress());
        let sent = up.poll(client, tunnel, context);
        let answered = down.poll(tunnel, client, context);
        if before != (up.progress(), down.progress()) {
            note(up.taken, down.taken);
            idle.touch();
        }
        match (sent, answered) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Finished),
            (Poll::Pending, Poll::Ready(Ok(()))) if tunnel.is_made() => return Poll::Ready(End::Finished),
            (Poll::Ready(Err(_)), _) => return Poll::Ready(End::ClientGone),
            (_, Poll::Ready(Err(_))) => return Poll::Ready(End::EndpointGone),
            _ => {}
        }
        if drained.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Drained);
        }
        idle.poll(context).map(|()| End::Idle)
    })
    .await;
    if end == End::Drained {
        let farewells = (up.farewell(), down.farewell());
        if farewells.0.is_some() || farewells.1.is_some() {
            let said = async { tokio::join!(part(tunnel, farewells.0), part(client, farewells.1)) };
            // Whoever does not listen is left all the same.
            let _late = tokio::time::timeout(FAREWELL, said).await;
        }
    }
    end
}

/// Says the last thing, and takes in what the other side still says: closed before, a connection could be reset and the
/// last thing be lost.
async fn part(side: &mut impl Side, farewell: Option<Bytes>) {
    let Some(mut farewell) = farewell else { return };
    let said = poll_fn(|context| {
        ready!(side.poll_give(&mut farewell, context))?;
        side.poll_finish(context)
    });
    if said.await.is_ok() {
        while let Ok(Some(_dropped)) = poll_fn(|context| side.poll_take(context)).await {}
    }
}

/// One way through the tunnel.
#[derive(Default)]
struct Lane {
    /// Taken from the one side and not yet by the other.
    data: Bytes,
    /// `data` may not have left altogether.
    giving: bool,
    state: State,
    taken: u64,
    /// Where it is WebSocket.
    frames: Option<Frames>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Nothing follows, which the other side has not been told.
    Ending,
    Over,
}

impl Lane {
    /// Grows with every byte that moves.
    fn progress(&self) -> (u64, usize) {
        (self.taken, self.data.len())
    }

    /// What can be said at its end, where all that was taken has left and a frame may follow.
    fn farewell(&self) -> Option<Bytes> {
        let complete = self.state == State::Open && !self.giving;
        self.frames.as_ref().filter(|_| complete)?.farewell()
    }

    /// Ready when the way is over, with an error if `from` is gone.
    fn poll(&mut self, from: &mut impl Side, to: &mut impl Side, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.giving {
                let given = ready!(to.poll_give(&mut self.data, context));
                self.giving = false;
                if given.is_err() {
                    // What it said before may still have to be read; its own way ends with the error.
                    self.data = Bytes::new();
                    self.state = State::Over;
                }
            }
            match self.state {
                State::Open => match ready!(from.poll_take(context))? {
                    Some(data) => {
                        self.taken += data.len() as u64;
                        if let Some(frames) = &mut self.frames {
                            frames.follow(&data);
                        }
                        self.data = data;
                        self.giving = true;
                    }
                    None => self.state = State::Ending,
                },
                State::Ending => {
                    let _gone = ready!(to.poll_finish(context));
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The time without a byte. The timer is set anew only when it rings too early.
struct Idle {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        let since = Instant::now();
        Self { limit, since, timer: Box::pin(sleep_until(since + limit)) }
    }

    fn touch(&mut self) {
        self.since = Instant::now();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let deadline = self.since + self.limit;
            if self.timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}
