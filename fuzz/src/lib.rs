//! What the fuzz targets share: schemes, keys and requests drawn from a fuzzer's bytes, a sender, and an [`oracle`] that
//! judges requests by its own reading of the rules, simply and slowly, on another HMAC.

pub mod clock;
pub mod document;
pub mod draft;
pub mod fault;
pub mod json;
pub mod keys;
pub mod mutation;
pub mod oracle;
pub mod parts;
pub mod request;
pub mod round_trip;
pub mod scheme;
pub mod server;
pub mod verdict;
pub mod wire;
