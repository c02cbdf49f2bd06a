//! The other cases without their misuse.

#![deny(unused, warnings)]

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest};
use hookwarden::Warden;
use hookwarden::axum::{UncommittedWebhook, Webhook};
use hookwarden::warden::{Receiving, Refused};

#[derive(Clone)]
struct AppState {
    warden: Warden,
}

impl FromRef<AppState> for Warden {
    fn from_ref(state: &AppState) -> Self {
        state.warden.clone()
    }
}

pub async fn committed(webhook: UncommittedWebhook<Bytes>) -> Bytes {
    let (payload, admitted) = webhook.into_parts();
    let _ = admitted.commit_async().await;
    payload
}

pub fn by_hand(receiving: Receiving) -> Result<(), Refused> {
    let admitted = receiving.finish()?;
    admitted.commit();
    Ok(())
}

fn is_extracted<T: FromRequest<AppState>>() {}

fn main() {
    is_extracted::<Webhook<Bytes>>();
    is_extracted::<UncommittedWebhook<Bytes>>();
    let _ = (committed, by_hand);
}
