//! One token kept fresh: got by one request while others wait, and renewed ahead of its end by one while others use it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::policy::authenticate::issuer::token_endpoint::{Failed, Tokens};

/// Of a token whose endpoint does not say how long it holds.
pub const UNSAID: Duration = Duration::from_secs(60);
/// The longest that a token is used, whatever its endpoint says.
pub const LONGEST: Duration = Duration::from_secs(86_400);
/// A token is renewed so long before its end, or a fifth of its life where that is less.
pub const AHEAD: Duration = Duration::from_secs(60);
/// It is not used so shortly before its end, or in the last tenth of its life where that is less: it has to arrive.
pub const ARRIVAL: Duration = Duration::from_secs(5);
/// Between two tries while no token comes; doubled up to `LONGEST_PAUSE`.
pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between two times that an endpoint's 401 makes a token worthless.
pub const RESPITE: Duration = Duration::from_secs(10);
/// Of a token; it has to stand in a head.
pub const TOKEN_BYTES: usize = 16 * 1024;

/// One request for a token, which goes on whoever waits for it.
pub(super) type Fetch = Pin<Box<dyn Future<Output = Result<Tokens, Failed>>>>;

/// Of the secret with which a token was got.
pub(super) type Fingerprint = [u8; 32];

pub(super) struct Token {
    /// Of `Authorization`.
    pub(super) value: HeaderValue,
    /// The same as it came, for an actor's.
    pub(super) text: String,
    fingerprint: Fingerprint,
    due: Instant,
    until: Instant,
}

/// No token, why, and when it is tried again.
#[derive(Debug, Clone)]
pub(super) struct Without {
    pub(super) failed: Failed,
    pub(super) again: Duration,
}

pub(super) struct Slot {
    state: Mutex<State>,
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    under_way: bool,
    failures: u32,
    failed: Option<Failed>,
    again: Option<Instant>,
    dropped: Option<Instant>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { state: Mutex::default(), ended: watch::Sender::new(0) }
    }
}

impl Slot {
    /// A token that is good now. To be called on a worker.
    pub(super) async fn get(
        self: &Arc<Self>,
        fingerprint: &Fingerprint,
        deadline: Instant,
        fetch: impl Fn() -> Fetch,
    ) -> Result<Arc<Token>, Without> {
        loop {
            // Before the state is looked at, so that no end can be missed.
            let mut ended = self.ended.subscribe();
            if let Some(outcome) = self.look(fingerprint, &fetch) {
                return outcome;
            }
            if timeout_at(deadline.into(), ended.changed()).await.is_err() {
                let failed = Failed::Unavailable("it has not answered in time".to_owned());
                return Err(Without { failed, again: FIRST_PAUSE });
            }
        }
    }

    /// None: a token is under way, and there is no other one.
    fn look(
        self: &Arc<Self>,
        fingerprint: &Fingerprint,
        fetch: &impl Fn() -> Fetch,
    ) -> Option<Result<Arc<Token>, Without>> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let good = state.token.clone().filter(|token| now < token.until);
        let due = good.as_ref().is_none_or(|token| now >= token.due || token.fingerprint != *fingerprint);
        let waits = state.again.filter(|again| now < *again);
        if due && !state.under_way && waits.is_none() {
            state.under_way = true;
            self.begin(fetch(), *fingerprint, now);
        }
        match (good, state.under_way) {
            (Some(token), _) => Some(Ok(token)),
            (None, true) => None,
            (None, false) => Some(Err(Without {
                failed: state.failed.clone().unwrap_or_else(|| Failed::Unavailable("it was not asked".to_owned())),
                again: waits.map_or(FIRST_PAUSE, |again| again - now),
            })),
        }
    }

    /// In a task of its own: whoever asked may go away.
    fn begin(self: &Arc<Self>, fetch: Fetch, fingerprint: Fingerprint, began: Instant) {
        let owed = Owed(self.clone());
        tokio::task::spawn_local(async move {
            let outcome = fetch.await.and_then(|tokens| Token::new(tokens, fingerprint, began));
            owed.0.settle(outcome);
        });
    }

    fn settle(&self, outcome: Result<Token, Failed>) {
        {
            let mut state = self.state.lock();
            state.under_way = false;
            match outcome {
                Ok(token) => {
                    (state.token, state.failures, state.failed, state.again) = (Some(Arc::new(token)), 0, None, None);
                }
                Err(failed) => {
                    let pause = LONGEST_PAUSE.min(FIRST_PAUSE * (1 << state.failures.min(16)));
                    state.failures += 1;
                    // Not all gateways at the same moment.
                    state.again = Some(Instant::now() + pause.mul_f64(0.8 + 0.2 * fastrand::f64()));
                    state.failed = Some(failed);
                }
            }
        }
        self.ended.send_modify(|ends| *ends = ends.wrapping_add(1));
    }

    /// An endpoint has refused it. Whether another one may be worth a try.
    pub(super) fn refuse(&self, token: &Arc<Token>) -> bool {
        let mut state = self.state.lock();
        match &state.token {
            Some(current) if Arc::ptr_eq(current, token) => {}
            // Somebody else has got another one meanwhile.
            _ => return true,
        }
        if state.dropped.is_some_and(|dropped| dropped.elapsed() < RESPITE) {
            return false;
        }
        (state.token, state.dropped) = (None, Some(Instant::now()));
        true
    }

    /// Nothing is lost with it.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        let now = Instant::now();
        let good = state.token.as_ref().is_some_and(|token| now < token.until);
        !good && !state.under_way && state.again.is_none_or(|again| now >= again)
    }
}

impl Token {
    /// `began` is when it was asked for: from then on it may have been counting.
    fn new(tokens: Tokens, fingerprint: Fingerprint, began: Instant) -> Result<Self, Failed> {
        let wrong = |what: &str| Failed::Unavailable(what.to_owned());
        let text = tokens.access_token;
        if text.is_empty() || text.len() > TOKEN_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("its token is empty, too long, or cannot stand in a header"));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| wrong("its token is no header"))?;
        value.set_sensitive(true);
        let life = tokens.expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST);
        if life.is_zero() {
            return Err(wrong("its token has ended already"));
        }
        let until = began + life - ARRIVAL.min(life / 10);
        Ok(Self { value, text, fingerprint, due: began + life - AHEAD.min(life / 5), until })
    }
}

/// Sees to it that a fetch ends for those who wait, even if it is broken off.
struct Owed(Arc<Slot>);

impl Drop for Owed {
    fn drop(&mut self) {
        if std::mem::take(&mut self.0.state.lock().under_way) {
            self.0.ended.send_modify(|ends| *ends = ends.wrapping_add(1));
        }
    }
}
