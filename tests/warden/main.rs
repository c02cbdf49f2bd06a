//! The Warden: its settings, duplicates, quotas, faulty stores, cancelled requests and reports.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

mod alerts;
mod cached_keys;
mod cancel_safety;
mod captures;
mod custom;
mod deliveries;
mod embedded_path;
mod event_fields;
mod floods;
#[expect(dead_code, reason = "the adapters' tests use the rest")]
#[path = "../harness/handshakes.rs"]
mod handshake_documents;
mod handshakes;
#[path = "../harness/mod.rs"]
mod harness;
mod observers;
mod report_only;
mod rotation;
mod scene;
mod settings;
mod shards;
mod shared_store;
mod slow_replay;
mod store_faults;
