//! The response future of the middleware.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use crate::tower::{Detachable, RunToEnd, Spawn, log_dropped, run};

/// The response future of [`WardenService`](super::WardenService).
///
/// If it is dropped while the handler runs, the handler continues as a task of the current worker, and its status
/// settles the delivery. [`Warden::wait_for_handlers`](crate::Warden::wait_for_handlers) waits for the handler.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<T: 'static> {
    request: RunToEnd<dyn Detachable<Output = T>>,
}

impl<T> ResponseFuture<T> {
    pub(super) fn new(request: impl Detachable<Output = T> + 'static) -> Self {
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

impl<O: 'static> Spawn for dyn Detachable<Output = O> {
    fn spawn(self: Pin<Box<Self>>) {
        let task = run(self).instrument(Span::current());
        // `spawn` panics without a `LocalSet`, which actix-web's workers have.
        let spawn = AssertUnwindSafe(|| drop(actix_web::rt::spawn(task)));
        if Handle::try_current().is_err() || catch_unwind(spawn).is_err() {
            log_dropped();
        }
    }
}
