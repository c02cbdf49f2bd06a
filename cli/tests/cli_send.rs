//! The commands that sign, send and verify, as processes of their own: `hookwarden sign`, `send` and `verify`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]

mod cli {
    pub(crate) mod command;
    pub(crate) mod endpoint;
    mod send;
    mod sign;
    mod verify;
}
