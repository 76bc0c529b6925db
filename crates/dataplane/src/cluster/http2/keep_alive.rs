//! Whether the other side of a connection is still there: asked by a PING after a silence, and only while exchanges wait
//! (RFC 9113 §6.7). Servers count PINGs that come too often against a client, some of them all that come within five
//! minutes in which they sent nothing themselves, so a silence is asked about once and then seldom.

use std::time::{Duration, Instant};

/// Nothing has come for so long, while something is due: ask.
const SILENCE: Duration = Duration::from_secs(30);
/// Nothing has come since we asked: the connection is dead.
const ANSWER: Duration = Duration::from_secs(20);
/// Between two questions with nothing but answers to them in between.
const SPACING: Duration = Duration::from_secs(310);

/// How long which silence is borne.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) silence: Duration,
    pub(super) answer: Duration,
    pub(super) spacing: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: SILENCE, answer: ANSWER, spacing: SPACING }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    Ping,
    Dead,
}

/// Bytes of a PING frame, with which its answer comes back.
const PONG: u64 = 17;

pub(super) struct KeepAlive {
    patience: Patience,
    /// Bytes received when we last looked.
    known: u64,
    heard: Instant,
    /// When we asked, if there has been nothing since.
    asked: Option<Instant>,
    /// The last question, while nothing but its answer has come.
    last: Option<(Instant, u64)>,
}

impl KeepAlive {
    pub(super) fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, known: 0, heard: now, asked: None, last: None }
    }

    /// What is to be done now. `received`: bytes so far; `waiting`: since when an exchange waits, None where there is none.
    pub(super) fn step(&mut self, now: Instant, received: u64, waiting: Option<Instant>) -> Step {
        if received != self.known {
            (self.known, self.heard, self.asked) = (received, now, None);
            if self.last.is_some_and(|(_, then)| received > then + PONG) {
                self.last = None;
            }
        }
        let Some(since) = waiting else {
            self.asked = None;
            return Step::Wait;
        };
        if let Some(asked) = self.asked {
            return if now >= asked + self.patience.answer { Step::Dead } else { Step::Wait };
        }
        let silent = now >= self.heard.max(since) + self.patience.silence;
        let spaced = self.last.is_none_or(|(last, _)| now >= last + self.patience.spacing);
        if !(silent && spaced) {
            return Step::Wait;
        }
        (self.asked, self.last) = (Some(now), Some((now, received)));
        Step::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_silence_is_asked_about_only_while_an_exchange_waits_and_no_answer_is_the_end() {
        let start = Instant::now();
        let mut keep = KeepAlive::new(Patience::default(), start);
        assert_eq!(keep.step(at(start, 1000), 9, None), Step::Wait);
        assert_eq!(keep.step(at(start, 1020), 9, Some(at(start, 1000))), Step::Wait);
        assert_eq!(keep.step(at(start, 1030), 9, Some(at(start, 1000))), Step::Ping);
        assert_eq!(keep.step(at(start, 1049), 9, Some(at(start, 1000))), Step::Wait);
        assert_eq!(keep.step(at(start, 1050), 9, Some(at(start, 1000))), Step::Dead);
    }

    #[test]
    fn an_answered_question_is_not_asked_again_for_five_minutes_unless_something_else_came() {
        let start = Instant::now();
        let mut keep = KeepAlive::new(Patience::default(), start);
        let since = Some(start);
        assert_eq!(keep.step(at(start, 30), 100, since), Step::Wait);
        assert_eq!(keep.step(at(start, 60), 100, since), Step::Ping);
        assert_eq!(keep.step(at(start, 61), 117, since), Step::Wait);
        assert_eq!(keep.step(at(start, 300), 117, since), Step::Wait);
        assert_eq!(keep.step(at(start, 370), 117, since), Step::Ping);
        assert_eq!(keep.step(at(start, 371), 134, since), Step::Wait);
        assert_eq!(keep.step(at(start, 372), 500, since), Step::Wait);
        assert_eq!(keep.step(at(start, 402), 500, since), Step::Ping);
    }
}
