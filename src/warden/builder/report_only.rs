//! The setting that reports refusals and does not enforce them.

use super::WardenBuilder;
use crate::error::ConfigError;
use crate::event::Warning;
use crate::warden::stores::Stores;

impl WardenBuilder {
    /// Reports which requests would be refused, and refuses none. It is for [a
    /// roll-out](crate::guide::rollout) on a route with traffic: put the layer on it, look at the reports, and remove this
    /// setting.
    ///
    /// **Nothing is protected:** forged, replayed and oversized requests reach the handler. The route must keep the checks
    /// that it has. [`build`](Self::build) raises [`Warning::ReportOnly`](crate::event::Warning::ReportOnly), and so do the
    /// first request and one request an hour.
    ///
    /// Every request is decided as without this setting, with the same counts, claims and events. Then the layers for tower
    /// and axum, and the middleware for actix-web, pass it on:
    ///
    /// * **The handler runs in any case**, also for a duplicate, over a quota and for a blocked peer. The answer is its own:
    ///   no `RateLimit` field and no `Connection: close` is added.
    /// * **The handler gets the body that was sent**: first what was read for the verification, at most the body limit and
    ///   one more chunk, then the rest. A body that broke off ends with its error. The handler starts after the verification,
    ///   for a slow body after the [deadline](crate::warden::BodyLimits::deadline).
    /// * **The verdict is in the request's extensions**, as [`ReportedVerdict`](crate::warden::ReportedVerdict).
    ///   [`VerifiedDelivery`](crate::warden::VerifiedDelivery) is there only if the request would have been accepted, and
    ///   `Webhook<T>` extracts only such requests: it answers others as an enforcing Warden does. Take the payload's own
    ///   extractor, such as `Json<T>` or `Bytes`, until the Warden enforces.
    /// * **Events of these requests are marked** with [`report_only`](crate::event::SecurityEvent::report_only). `TracingObserver` adds the
    ///   field `report_only`, and `MetricsObserver` counts refusals under the outcome `would_be_refused`. `AlertObserver`
    ///   ignores them.
    /// * **An accepted delivery is claimed**, and committed or released by the status of the handler, so that its copies are
    ///   reported as duplicates.
    /// * **A [handshake](crate::handshake) is answered** as without this setting, because the provider needs the answer to
    ///   register the endpoint. An unsigned one over its quota or with an unknown id is refused.
    ///
    /// Without a layer nothing passes a request on: [`examine`](crate::Warden::examine) and the steps after it return the
    /// refusals that they return without this setting, and their events are not marked. `UncommittedWebhook` refuses, and
    /// logs an error.
    ///
    /// All requests are decided in this process. Unverified bodies may take up to twice
    /// [`BodyLimits::max_bytes_in_flight`](crate::warden::BodyLimits::max_bytes_in_flight).
    ///
    /// # Errors
    /// [`build`](Self::build) returns an error if a store is shared ([`shared_store`](Self::shared_store),
    /// [`Replay::shared`](crate::warden::Replay::shared), [`Quotas::shared`](crate::warden::Quotas::shared)). A delivery that
    /// is only reported would otherwise count in the store of receivers that enforce.
    ///
    /// ```
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::timestamped();
    /// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let warden = Warden::builder(scheme).sender("acme", keys).danger_report_only().build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub const fn danger_report_only(mut self) -> Self {
        self.report_only = true;
        self
    }

    /// Raises the warning of a Warden that only reports. Returns an error if it shares a store: its claims and counts would
    /// decide about requests to receivers that enforce.
    pub(super) fn check_report_only(stores: &Stores) -> Result<(), ConfigError> {
        if stores.monitor.report_only.is_none() {
            return Ok(());
        }
        if !stores.are_local() {
            return Err(ConfigError::new("danger_report_only", SHARED));
        }
        stores.monitor.warn(Warning::ReportOnly);
        Ok(())
    }
}

const SHARED: &str = "must not be set with a shared store: a delivery that is only reported would count in the store of \
                      receivers that enforce. Remove `shared_store`, `Replay::shared` and `Quotas::shared` until this \
                      Warden enforces";
