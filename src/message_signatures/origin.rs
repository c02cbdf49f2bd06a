//! The public origin of an endpoint.

use alloc::string::String;

use crate::error::ConfigError;

/// The scheme and the authority that senders use. They are settings, because a sender can put anything into a `Host`
/// header, and a proxy can change it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Such as `https://hooks.example.com`, without a slash at the end.
    text: String,
    /// The length of the scheme in `text`.
    scheme: usize,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = || Err(ConfigError::fixed("origin", "must be http(s)://host or http(s)://host:port"));
        let Some((scheme, authority)) = text.split_once("://") else { return refuse() };
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => ":443",
            "http" => ":80",
            _ => return refuse(),
        };
        let authority = authority.to_ascii_lowercase();
        let host = authority.strip_suffix(default_port).unwrap_or(&authority);
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if host.is_empty() || host.starts_with(':') || host.ends_with(':') || !host.bytes().all(is_host_byte) {
            return refuse();
        }
        Ok(Self { text: alloc::format!("{scheme}://{host}"), scheme: scheme.len() })
    }

    /// The value of `@scheme`.
    pub(super) fn scheme(&self) -> &str {
        self.text.get(..self.scheme).unwrap_or_default()
    }

    /// The value of `@authority`: in lower case, without the default port.
    pub(super) fn authority(&self) -> &str {
        self.text.get(self.scheme.saturating_add("://".len())..).unwrap_or_default()
    }

    /// The scheme and the authority.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}
