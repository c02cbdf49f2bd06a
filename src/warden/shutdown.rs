//! Waits for handlers at a shutdown.

use std::time::Duration;

use super::Warden;
use super::handlers::Handlers;

impl Warden {
    /// Waits for at most `limit` until all handlers behind the layers and middlewares of this Warden have finished.
    /// Returns how many still run. A handler counts from its call until its delivery is settled, even if its client has
    /// disconnected.
    ///
    /// If a client disconnects, its handler continues as a task, so that its status settles the delivery. A graceful
    /// shutdown of the server does not wait for these tasks, nor for the open streams of a closed HTTP/2 connection.
    /// Call this after the server has stopped and before the runtime shuts down: the shutdown drops the handlers that
    /// still run, which releases their deliveries. The workers of actix-web end with the server, so call this [before
    /// it stops](crate::actix#shutdown).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use hookwarden::Warden;
    ///
    /// # #[cfg(feature = "axum")]
    /// async fn serve(listener: tokio::net::TcpListener, app: axum::Router, warden: Warden) -> std::io::Result<()> {
    ///     let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    ///     axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    ///     let running = warden.wait_for_handlers(Duration::from_secs(30)).await;
    ///     if running > 0 {
    ///         eprintln!("{running} handlers did not finish: retries will run them again");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Handlers that take [`UncommittedWebhook`](crate::axum::UncommittedWebhook) are not counted, because they run
    /// without a layer.
    ///
    /// # Panics
    /// Panics outside a tokio runtime, or if the runtime's timer is not enabled.
    pub async fn wait_for_handlers(&self, limit: Duration) -> usize {
        self.inner.handlers.wait(limit).await
    }

    pub(crate) fn handlers(&self) -> &Handlers {
        &self.inner.handlers
    }
}
