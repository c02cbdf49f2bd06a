//! Replay protection: a store remembers which deliveries were handled.
//!
//! A [`Delivery`] is a verified message: its webhook id, its [`ReplayKey`](crate::verifier::ReplayKey)s, and the id that
//! its sender signed, if it has one. The Warden claims it before the handler runs, for a lease; it commits the claim when
//! the handler succeeds, and releases it otherwise, so that the sender's retry runs the handler again. Further requests
//! with a committed delivery are duplicates, until the message is too old to be accepted, or until its id expires.
//!
//! [`LocalReplay`] stores deliveries in this process and is the default. With several replicas use a shared
//! [`ReplayStore`], such as `hookwarden::redis::RedisStore` (feature `redis`).
//!
//! ```
//! use std::time::Duration;
//!
//! use hookwarden::Timestamp;
//! use hookwarden::clock::{Clock, SystemClock};
//! use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
//! use hookwarden::verifier::ReplayKey;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (store, clock) = (LocalReplay::default(), SystemClock::default());
//! let until = Timestamp::from_unix(clock.now().wall.as_unix() + 300);
//! let delivery = Delivery { webhook_id: "orders", keys: &[ReplayKey::from_bytes([7; 16])], until, id: None };
//! let (first, second, lease) = (Claimant::new(1), Claimant::new(2), Duration::from_secs(60));
//!
//! assert_eq!(store.claim(delivery, first, lease, clock.now()).await?, Claim::Granted);
//! let copy = store.claim(delivery, second, lease, clock.now()).await?;
//! assert!(matches!(copy, Claim::InProgress { .. }));
//!
//! store.release(delivery, first, clock.now()).await?; // the handler failed
//! assert_eq!(store.claim(delivery, second, lease, clock.now()).await?, Claim::Granted);
//! # Ok::<(), hookwarden::error::StoreError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod local;
mod store;

pub(crate) use local::LocalDelivery;
pub use local::LocalReplay;
#[cfg(feature = "redis")]
pub(crate) use store::MAX_REPLAY_KEYS;
pub use store::{Claim, Claimant, Delivery, DeliveryId, ReplayStore};
