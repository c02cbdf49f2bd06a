//! The response future of the layers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::guarded_request::{Detachable, RunToEnd};

/// The response future of [`WardenService`](super::WardenService) and of
/// [`axum::WardenService`](crate::axum::WardenService).
///
/// If it is dropped while the handler runs, the handler continues as a task on the current tokio runtime, and its
/// status settles the delivery. [`Warden::wait_for_handlers`](crate::Warden::wait_for_handlers) waits for the handler.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<T: 'static> {
    request: RunToEnd<dyn Detachable<Output = T> + Send>,
}

impl<T> ResponseFuture<T> {
    pub(crate) fn new(request: impl Detachable<Output = T> + Send + 'static) -> Self {
        Self { request: RunToEnd::new(Box::pin(request)) }
    }
}

impl<T> Future for ResponseFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.request).poll(cx)
    }
}

impl<T> fmt::Debug for ResponseFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(…)")
    }
}
