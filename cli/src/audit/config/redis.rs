//! Finds unsafe connections to Redis.

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::settings::Document;
use crate::audit::finding::{Finding, Severity};
use crate::client::is_loopback;
use crate::failure::Failure;

pub(super) fn findings(document: &Document) -> Result<Vec<Finding>, Failure> {
    let setting = &document.settings.redis_url;
    let Some(url) = setting else { return Ok(Vec::new()) };
    // The client's message is not shown, because it may quote the URL with a password.
    let info = url.get_ref().as_str().into_connection_info();
    let info =
        info.map_err(|_| document.fault(setting, "redis_url: must be a Redis URL, such as rediss://host:6379"))?;
    let mut found = Vec::new();
    match info.addr() {
        ConnectionAddr::Tcp(host, _) if !is_loopback(host) => {
            let detail = format!("traffic to {host}, with its passwords, can be read and changed in transit");
            let fix = "use rediss://";
            found.push(Finding::new("redis-without-tls", Severity::High, "Redis without TLS", detail, fix));
        }
        ConnectionAddr::TcpTls { insecure: true, host, .. } => {
            let detail = format!("the certificate of {host} is not checked, so an attacker can impersonate it");
            let fix = "remove #insecure, and give Redis a certificate that the system trusts";
            found.push(Finding::new("redis-insecure-tls", Severity::High, "TLS without a check", detail, fix));
        }
        _ => {}
    }
    if info.redis_settings().password().is_some() {
        let detail = "the URL contains a password, which is visible to everyone who can read this file or its history";
        let fix = "take the URL from the environment or from a mounted secret, and change the password";
        found.push(Finding::new("redis-password", Severity::High, "password in a file", detail, fix));
    }
    let line = document.line(setting);
    Ok(found.into_iter().map(|finding| finding.at_line(line)).collect())
}
