//! A guarded request, from its head to the settlement of its delivery. If its client disconnects while the handler
//! runs, the request continues as a task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use crate::occurrences::Occurrences;
use crate::warden::Warden;

/// A request that can continue as a task.
pub(crate) trait Detachable: Future {
    /// Returns whether the handler was called.
    fn is_handling(&self) -> bool;
}

pin_project! {
    pub(crate) struct GuardedRequest<R, H, N, G> {
        #[pin]
        stage: Stage<R, H, N, G>,
        // `Some` once the handler was called. Declared last, so that `stage` is dropped before it.
        running: Option<RunningHandler>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<R, H, N, G> {
        // Verifies and admits the request, waits until the service is ready, and calls it.
        Receiving { #[pin] receiving: R },
        // Holds the claim in `finish`, so that a panic of the handler releases it.
        Handling { #[pin] handler: H, finish: Option<N> },
        Settling { #[pin] settling: G },
    }
}

/// A handler that was called.
pub(crate) struct Called<H, N> {
    pub(crate) running: RunningHandler,
    pub(crate) handler: H,
    /// Starts to settle the delivery by the result of the handler.
    pub(crate) finish: N,
}

/// A running handler. Its Warden counts it until this value is dropped.
pub(crate) struct RunningHandler {
    warden: Warden,
}

impl RunningHandler {
    pub(crate) fn of(warden: Warden) -> Self {
        warden.handlers().begin();
        Self { warden }
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        self.warden.handlers().end();
    }
}

/// The state of a request after its handler has returned.
pub(crate) enum Finished<G: Future> {
    /// The settlement is in progress. Its output is the answer.
    Settling(G),
    /// The request is complete.
    Answered(G::Output),
}

impl<R, H, N, G> GuardedRequest<R, H, N, G>
where
    R: Future<Output = Result<Called<H, N>, G::Output>>,
    H: Future,
    N: FnOnce(H::Output) -> Finished<G>,
    G: Future,
{
    /// `receiving` returns the handler that it called, or the answer to a request that does not reach a handler.
    pub(crate) const fn new(receiving: R) -> Self {
        Self { stage: Stage::Receiving { receiving }, running: None }
    }
}

impl<R, H, N, G> Future for GuardedRequest<R, H, N, G>
where
    R: Future<Output = Result<Called<H, N>, G::Output>>,
    H: Future,
    N: FnOnce(H::Output) -> Finished<G>,
    G: Future,
{
    type Output = G::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G::Output> {
        let this = self.project();
        let mut stage = this.stage;
        loop {
            match stage.as_mut().project() {
                StageProjection::Receiving { receiving } => match ready!(receiving.poll(cx)) {
                    Ok(Called { running, handler, finish }) => {
                        *this.running = Some(running);
                        stage.set(Stage::Handling { handler, finish: Some(finish) });
                    }
                    Err(answer) => return Poll::Ready(answer),
                },
                StageProjection::Handling { handler, finish } => {
                    let returned = ready!(handler.poll(cx));
                    match finish.take().expect(COMPLETED)(returned) {
                        Finished::Settling(settling) => stage.set(Stage::Settling { settling }),
                        Finished::Answered(answer) => return Poll::Ready(answer),
                    }
                }
                StageProjection::Settling { settling } => return settling.poll(cx),
            }
        }
    }
}

impl<R, H, N, G> Detachable for GuardedRequest<R, H, N, G>
where
    Self: Future,
{
    fn is_handling(&self) -> bool {
        self.running.is_some()
    }
}

/// Runs a guarded request, and spawns it if it is dropped while its handler runs.
pub(crate) struct RunToEnd<G: Spawn + ?Sized> {
    /// `None` once it has completed or panicked.
    request: Option<Pin<Box<G>>>,
}

impl<G: Spawn + ?Sized> RunToEnd<G> {
    pub(crate) const fn new(request: Pin<Box<G>>) -> Self {
        Self { request: Some(request) }
    }
}

impl<G: Spawn + ?Sized> Future for RunToEnd<G> {
    type Output = G::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G::Output> {
        // Take the request, so that a panic drops it: a future that panicked cannot continue.
        let mut request = self.request.take().expect(COMPLETED);
        let polled = request.as_mut().poll(cx);
        if polled.is_pending() {
            self.request = Some(request);
        }
        polled
    }
}

impl<G: Spawn + ?Sized> Drop for RunToEnd<G> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take()
            && request.is_handling()
        {
            request.spawn();
        }
    }
}

/// Spawns a request as a task: on the runtime if it is `Send`, otherwise on the current thread.
pub(crate) trait Spawn: Detachable {
    fn spawn(self: Pin<Box<Self>>);
}

impl<O: 'static> Spawn for dyn Detachable<Output = O> + Send {
    fn spawn(self: Pin<Box<Self>>) {
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(run(self).instrument(Span::current()))),
            Err(_) => log_dropped(),
        }
    }
}

pub(crate) async fn run<G: Detachable + ?Sized>(request: Pin<Box<G>>) {
    // The client that would read the answer is gone.
    drop(request.await);
}

/// Logs a handler that cannot continue. Dropping it releases its delivery.
pub(crate) fn log_dropped() {
    static DROPPED: Occurrences = Occurrences::new();
    if let Some(count) = DROPPED.count_to_log() {
        tracing::error!(
            target: "hookwarden::tower",
            count,
            "a request was dropped outside a tokio runtime: its handler was dropped and its \
             delivery released; drop the server inside its runtime"
        );
    }
}

const COMPLETED: &str = "polled after it completed";
