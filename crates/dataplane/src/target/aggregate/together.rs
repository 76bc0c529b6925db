//! Futures of one request that run side by side and are dropped together.

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::Poll;

type Running<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

pub struct Together<'a, T>(Vec<(usize, Running<'a, T>)>);

impl<'a, T> Together<'a, T> {
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn begin(&mut self, key: usize, future: impl Future<Output = T> + 'a) {
        self.0.push((key, Box::pin(future)));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The next that ends; None when none is under way.
    pub async fn next(&mut self) -> Option<(usize, T)> {
        if self.0.is_empty() {
            return None;
        }
        // They are few, and those that wait for something say so quickly.
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(output) = self.0[index].1.as_mut().poll(context) {
                    let (key, _) = self.0.swap_remove(index);
                    return Poll::Ready(Some((key, output)));
                }
            }
            Poll::Pending
        })
        .await
    }
}
