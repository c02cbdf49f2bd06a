//! A handler that forgets to commit is warned about.

#![deny(unused)]

use axum::body::Bytes;
use hookwarden::axum::UncommittedWebhook;
use hookwarden::warden::{Receiving, Refused};

pub async fn destructured(UncommittedWebhook { payload, admitted }: UncommittedWebhook<Bytes>) -> Bytes {
    payload
}

pub fn by_hand(receiving: Receiving) -> Result<(), Refused> {
    receiving.finish()?;
    Ok(())
}

fn main() {}
