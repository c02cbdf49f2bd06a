//! The public origin of an endpoint.

use alloc::string::String;

use super::authority::Authority;
use crate::error::ConfigError;

/// The scheme and the authority that senders use. They are settings, because a sender can put anything into a `Host`
/// header, and a proxy can change it.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// Such as `https://hooks.example.com`, without a slash at the end.
    text: String,
    /// The length of the scheme in `text`.
    scheme: usize,
    default_port: u16,
    parsed: Authority,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = |problem| Err(ConfigError::fixed("origin", problem));
        let start = "must be http(s)://host or http(s)://host:port, such as https://hooks.example.com";
        let Some((scheme, authority)) = text.split_once("://") else { return refuse(start) };
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return refuse(start),
        };
        let parsed = match Authority::parse(authority, default_port) {
            Ok(parsed) => parsed,
            Err(problem) => return refuse(problem),
        };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(&alloc::format!(":{default_port}")).unwrap_or(&authority);
        Ok(Self { text: alloc::format!("{scheme}://{authority}"), scheme: scheme.len(), default_port, parsed })
    }

    /// Without the dot at the end of the host, which is the root of the DNS.
    pub(super) fn without_root_dot(mut self) -> Self {
        self.text = match self.text.rsplit_once(".:") {
            Some((host, port)) => alloc::format!("{host}:{port}"),
            None => self.text.strip_suffix('.').unwrap_or(&self.text).into(),
        };
        self
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

    /// The authority, to compare it with that of a request.
    pub(super) const fn parsed(&self) -> &Authority {
        &self.parsed
    }

    /// The port that an authority without a port has.
    pub(super) const fn default_port(&self) -> u16 {
        self.default_port
    }
}
