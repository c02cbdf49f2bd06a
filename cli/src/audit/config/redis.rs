//! Finds unsafe connections to Redis.

use hookwarden::redis::RedisUrl;

use super::settings::Document;
use crate::audit::finding::{Finding, Severity};
use crate::client::is_loopback;
use crate::failure::Failure;

pub(super) fn findings(document: &Document) -> Result<Vec<Finding>, Failure> {
    let setting = &document.settings.redis_url;
    let Some(url) = setting else { return Ok(Vec::new()) };
    // The library refuses this fragment. Here it is a finding next to the others.
    let (text, is_insecure) = match url.get_ref().strip_suffix("#insecure") {
        Some(text) => (text, true),
        None => (url.get_ref().as_str(), false),
    };
    let parsed = RedisUrl::parse(text)
        .map_err(|error| document.fault(setting, error.to_string().replacen(error.field(), "redis_url", 1)))?;
    let remote: Vec<_> = parsed.hosts().filter(|host| !is_loopback(host)).collect();
    let mut found = Vec::new();
    if !parsed.has_tls() && !remote.is_empty() {
        let detail =
            format!("traffic to {}, with its passwords, can be read and changed in transit", remote.join(", "));
        let fix = "use rediss, such as rediss:// or rediss+cluster://";
        found.push(Finding::new("redis-without-tls", Severity::High, "Redis without TLS", detail, fix));
    }
    if parsed.has_tls() && is_insecure {
        let hosts = parsed.hosts().collect::<Vec<_>>().join(", ");
        let detail = format!("the certificate of {hosts} is not checked, so an attacker can impersonate it");
        let fix = "remove #insecure, and give Redis a certificate that the system trusts";
        found.push(Finding::new("redis-insecure-tls", Severity::High, "TLS without a check", detail, fix));
    }
    if parsed.has_password() {
        let detail = "the URL contains a password, which is visible to everyone who can read this file or its history";
        let fix = "take the URL from the environment or from a mounted secret, and change the password";
        found.push(Finding::new("redis-password", Severity::High, "password in a file", detail, fix));
    }
    let line = document.line(setting);
    Ok(found.into_iter().map(|finding| finding.at_line(line)).collect())
}
