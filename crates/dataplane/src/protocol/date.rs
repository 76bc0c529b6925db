//! The `Date` of responses (RFC 9110 §6.6.1), formatted once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;

thread_local! {
    /// The second that was formatted last, and its text.
    static CLOCK: RefCell<(u64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
}

/// Lets `use_it` see the date of this moment.
pub(super) fn with_now<T>(use_it: impl FnOnce(&HeaderValue) -> T) -> T {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CLOCK.with_borrow_mut(|(formatted, text)| {
        if *formatted != second || text.is_empty() {
            *formatted = second;
            // A date is visible ASCII.
            *text = HeaderValue::try_from(httpdate::fmt_http_date(now)).unwrap_or(HeaderValue::from_static(""));
        }
        use_it(text)
    })
}
