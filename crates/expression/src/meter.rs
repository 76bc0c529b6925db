//! The bound of one evaluation, kept for the thread that runs it. What goes over it ends by unwinding, because nothing in
//! a jq program can catch that.

use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// Why an evaluation was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Steps,
    Depth,
    Allocation,
    /// One value over `MAX_VALUE_BYTES`.
    Size,
    /// One value over `MAX_DEPTH`.
    Nesting,
    Integer,
    /// The library failed inside; its panic has been told on standard error.
    Bug,
}

/// What one evaluation may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) steps: usize,
    /// How much a step counts for: a call with many arguments takes memory for each.
    pub(crate) weight: usize,
    /// All that it allocates for values, also what it has let go of again.
    pub(crate) allocated_bytes: usize,
    pub(crate) stack_bytes: usize,
}

/// Work is finer than steps: a part that is made or compared, sixteen bytes that are looked at.
const WORK_OF_A_STEP: usize = 16;

thread_local! {
    static WORK: Cell<usize> = const { Cell::new(usize::MAX) };
    static STEP: Cell<usize> = const { Cell::new(WORK_OF_A_STEP) };
    static ALLOCATION: Cell<usize> = const { Cell::new(usize::MAX) };
    static STACK_LIMIT: Cell<usize> = const { Cell::new(0) };
    static METERED: Cell<bool> = const { Cell::new(false) };
}

/// Where the stack is now; it grows towards lower addresses on every platform we build for.
fn stack_position() -> usize {
    let here = 0u8;
    std::hint::black_box(&here) as *const u8 as usize
}

/// Runs `f` within the allowance.
pub(crate) fn run<T>(allowance: Allowance, f: impl FnOnce() -> T) -> Result<T, Stop> {
    WORK.set(allowance.steps.saturating_mul(WORK_OF_A_STEP));
    STEP.set(allowance.weight.saturating_mul(WORK_OF_A_STEP));
    ALLOCATION.set(allowance.allocated_bytes);
    STACK_LIMIT.set(stack_position().saturating_sub(allowance.stack_bytes));
    METERED.set(true);
    // What `f` leaves behind half-done is dropped by the unwinding and seen by nobody.
    let outcome = catch_unwind(AssertUnwindSafe(f));
    METERED.set(false);
    outcome.map_err(|payload| payload.downcast::<Stop>().map_or(Stop::Bug, |stop| *stop))
}

/// One step of an evaluation.
pub(crate) fn step() {
    work(STEP.get());
    if METERED.get() && stack_position() < STACK_LIMIT.get() {
        stop(Stop::Depth);
    }
}

/// Counted before it is done.
pub(crate) fn work(units: usize) {
    if METERED.get() {
        match WORK.get().checked_sub(units) {
            Some(left) => WORK.set(left),
            None => stop(Stop::Steps),
        }
    }
}

/// Counted before it is allocated, where the caller knows its size by then.
pub(crate) fn charge(bytes: usize) {
    if METERED.get() {
        match ALLOCATION.get().checked_sub(bytes) {
            Some(left) => ALLOCATION.set(left),
            None => stop(Stop::Allocation),
        }
    }
}

pub(crate) fn stop(reason: Stop) -> ! {
    // Not a panic: no panic hook prints.
    resume_unwind(Box::new(reason))
}
