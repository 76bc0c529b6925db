//! The bound of one evaluation, kept for the thread that runs it. What goes over it ends by unwinding, because nothing
//! in a jq program can catch that.

use std::cell::Cell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};

/// Why an evaluation was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Steps,
    Depth,
    /// The library failed inside; its panic has been told on standard error.
    Bug,
}

/// What one evaluation may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) steps: u64,
    pub(crate) stack_bytes: usize,
}

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static STACK_LIMIT: Cell<usize> = const { Cell::new(0) };
}

/// Where the stack is now; it grows towards lower addresses on every platform we build for.
fn stack_position() -> usize {
    let here = 0u8;
    std::hint::black_box(&here) as *const u8 as usize
}

/// Runs `f` within the allowance.
pub(crate) fn run<T>(allowance: Allowance, f: impl FnOnce() -> T) -> Result<T, Stop> {
    STEPS.set(allowance.steps);
    STACK_LIMIT.set(stack_position().saturating_sub(allowance.stack_bytes));
    // What `f` leaves behind half-done is dropped by the unwinding and seen by nobody.
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| payload.downcast::<Stop>().map_or(Stop::Bug, |stop| *stop))
}

/// One step of an evaluation.
pub(crate) fn step() {
    let left = STEPS.get();
    if left == 0 {
        stop(Stop::Steps);
    }
    STEPS.set(left - 1);
    if stack_position() < STACK_LIMIT.get() {
        stop(Stop::Depth);
    }
}

fn stop(reason: Stop) -> ! {
    // Not a panic: no panic hook prints.
    resume_unwind(Box::new(reason))
}
