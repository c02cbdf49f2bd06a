#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "postgres", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "postgres"),
    doc = "Webhook deliveries in PostgreSQL or SQLite. See the documentation with all features."
)]
#![cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "the code of a database uses it")
)]

mod builder;
mod call;
mod dialect;
mod error;
mod link;
mod migration;
mod names;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

#[doc = include_str!("../docs/sql.md")]
pub mod sql {}

pub use builder::SqlxStoreBuilder;
pub use error::CommitError;
pub use migration::Migration;
#[cfg(feature = "postgres")]
pub use store::PgStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{SqlxStore, SupportedDatabase};
