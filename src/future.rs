//! The future type of the store traits.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;

use crate::error::StoreError;

/// A boxed future that is `Send`, as the store traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A panic in an application's store is an error of the store, and must not take the request with it.
pub(crate) async fn catch_panic<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(StoreError::panicked()))
}
