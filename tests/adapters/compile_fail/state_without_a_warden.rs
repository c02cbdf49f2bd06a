//! `UncommittedWebhook` needs a Warden in the router's state.

use axum::body::Bytes;
use axum::extract::FromRequest;
use hookwarden::axum::{UncommittedWebhook, Webhook};

#[derive(Clone)]
struct AppState;

fn is_extracted<T: FromRequest<AppState>>() {}

fn main() {
    is_extracted::<Webhook<Bytes>>();
    is_extracted::<UncommittedWebhook<Bytes>>();
}
