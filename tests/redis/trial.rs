//! Tests that are reported as ignored where what they need is missing.

use std::future::Future;
use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Trial};

/// A test on a runtime of its own. One that needs a Redis server is ignored without one, and fails with
/// `HOOKWARDEN_REQUIRE_REDIS=1`.
pub(crate) fn trial<F: Future<Output = ()> + 'static>(name: &str, needs_redis: bool, test: fn() -> F) -> Trial {
    let is_missing = needs_redis && !has_server();
    let is_required = std::env::var_os("HOOKWARDEN_REQUIRE_REDIS").is_some_and(|value| value == "1");
    Trial::ignorable_test(name, move || {
        if is_missing {
            let reason = "there is no redis-server in PATH";
            return if is_required { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test());
        Ok(Completion::Completed)
    })
}

fn has_server() -> bool {
    let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
