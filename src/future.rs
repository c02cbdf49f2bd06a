//! The future type of the store traits.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;

use crate::error::StoreError;

/// The boxed `Send` future that the store traits return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns a panic in an application's store into a [`StoreError`], so that the request is answered.
pub(crate) async fn catch_panic<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(StoreError::panicked()))
}
