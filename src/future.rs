//! Futures as the store traits return them.

use std::future::Future;
use std::pin::Pin;

/// A boxed, sendable future, as the store traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
