//! Whether hookwarden's branches, addresses and times depend on its secrets: what the programs of this package share.
//! What they check, and what they cannot, is in the README beside them.

pub mod message;
pub mod receiver;
pub mod requests;
