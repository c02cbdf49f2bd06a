#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

mod address;
mod builder;
mod fetch;
mod freshness;
mod json;
mod key;
mod keys;
mod report;
mod resolver;
mod revocation;
mod sender;
mod set;
mod source;
mod text;

pub use builder::JwksKeysBuilder;
pub use keys::JwksKeys;
pub use resolver::Resolver;
pub use source::Source;
