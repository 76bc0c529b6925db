//! Header maps that one message after another fills: a head costs no allocation for its map on a worker that is warm.

use std::cell::RefCell;

use http::HeaderMap;

/// Maps that a worker keeps, and how many fields each may have room for.
const MAPS: usize = 128;
const FIELDS: usize = 64;

/// Room in a new one: the fields of a browser, and what the gateway adds for the endpoint.
const ROOM: usize = 24;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map.
pub(crate) fn take() -> HeaderMap {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| HeaderMap::with_capacity(ROOM))
}

/// Its fields are forgotten.
pub(crate) fn give(mut map: HeaderMap) {
    if map.capacity() == 0 || map.capacity() > FIELDS {
        return;
    }
    map.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MAPS {
            spare.push(map);
        }
    });
}
