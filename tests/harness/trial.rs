//! Trials that are reported as ignored where a server or a tool is missing.

use std::future::Future;
use std::sync::{PoisonError, RwLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Returns the command line. Unless it sets the number of threads, four trials run at a time: most wait for a process.
pub(crate) fn arguments() -> Arguments {
    let arguments = Arguments::from_args();
    Arguments { test_threads: arguments.test_threads.or(Some(4)), ..arguments }
}

/// Creates a trial that needs no server or tool.
pub(crate) fn always(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// Creates a trial for which `missing` was not found. It is ignored, or fails if the variable is `1`.
pub(crate) fn without(name: &str, missing: &str, variable: &str) -> Trial {
    let reason = format!("requires {missing}");
    let is_required = std::env::var_os(variable).is_some_and(|value| value == "1");
    Trial::ignorable_test(name, move || {
        if is_required { Err(Failed::from(reason)) } else { Ok(Completion::ignored_with(reason)) }
    })
}

/// Parallel trials take a read lock, exclusive ones a write lock.
static MACHINE: RwLock<()> = RwLock::new(());

/// Runs a test that may run in parallel with others.
pub(crate) fn in_parallel(test: &dyn Fn()) {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    test();
}

/// Runs a test exclusively: its load would disturb others, or theirs would disturb it.
pub(crate) fn exclusively(test: &dyn Fn()) {
    let _machine = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    test();
}

/// Runs the future on its own runtime.
pub(crate) fn run(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future);
}
