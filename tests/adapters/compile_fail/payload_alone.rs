//! The payload of an uncommitted webhook comes only with its claim.

use axum::body::Bytes;
use hookwarden::axum::UncommittedWebhook;

pub async fn payload_alone(webhook: UncommittedWebhook<Bytes>) -> Bytes {
    webhook.payload
}

fn main() {}
