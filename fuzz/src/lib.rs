//! Shared code of the fuzz targets: schemes, keys and requests drawn from a fuzzer's bytes, a sender, and an
//! [`oracle`], an independent, simple and slow verifier with another HMAC implementation.

pub mod clock;
pub mod document;
pub mod draft;
pub mod fault;
pub mod json;
pub mod keys;
pub mod messages;
pub mod mutation;
pub mod oracle;
pub mod parts;
pub mod request;
pub mod round_trip;
pub mod scheme;
pub mod server;
pub mod verdict;
pub mod wire;
