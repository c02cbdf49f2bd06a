//! A handler that does not commit gets a compiler warning.

#![deny(unused)]

use axum::body::Bytes;
use hookwarden::axum::UncommittedWebhook;
use hookwarden::warden::{Receiving, Refused};

pub async fn unused_claim(webhook: UncommittedWebhook<Bytes>) -> Bytes {
    let (payload, admitted) = webhook.into_parts();
    payload
}

pub fn by_hand(receiving: Receiving) -> Result<(), Refused> {
    receiving.finish()?;
    Ok(())
}

fn main() {}
