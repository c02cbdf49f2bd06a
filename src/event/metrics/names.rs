//! The names, units and descriptions of the metrics.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests to guarded webhook endpoints, by outcome.");
    describe_counter!(WEBHOOK_REQUESTS, Unit::Count, "Requests of each webhook id that has keys.");
    describe_counter!(KEY_REQUESTS, Unit::Count, "Requests by the key that their signature matched.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "The time from the arrival of a request's head to the end of the request."
    );
    describe_histogram!(SKEW, Unit::Seconds, "The receiver's clock minus the request's timestamp.");
    describe_histogram!(BODY_BYTES, Unit::Bytes, "Received bytes of a request's body.");
    describe_gauge!(STORE_UP, Unit::Count, "Whether the last call to a shared store, or to a shard of it, succeeded.");
    describe_gauge!(REPORT_ONLY, Unit::Count, "Whether a receiver with this scheme only reports.");
    describe_counter!(WARNINGS, Unit::Count, "Warnings for the operator that do not belong to one request.");
}

pub(super) const REQUESTS: &str = "hookwarden_requests_total";
pub(super) const WEBHOOK_REQUESTS: &str = "hookwarden_webhook_requests_total";
pub(super) const KEY_REQUESTS: &str = "hookwarden_key_requests_total";
pub(super) const DURATION: &str = "hookwarden_request_duration_seconds";
pub(super) const SKEW: &str = "hookwarden_timestamp_skew_seconds";
pub(super) const BODY_BYTES: &str = "hookwarden_body_bytes";
pub(super) const WARNINGS: &str = "hookwarden_warnings_total";
pub(super) const REPORT_ONLY: &str = "hookwarden_report_only";
pub(super) const STORE_UP: &str = "hookwarden_store_up";
