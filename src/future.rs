//! The future type of the store traits.

use std::future::Future;
use std::pin::Pin;

/// A boxed future that is `Send`, as the store traits return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
