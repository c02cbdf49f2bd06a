//! The Redis and Valkey servers of this machine.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;

use super::trial::{always, without};

/// Creates a trial that needs a Redis server. Without one it is ignored, or fails if `HOOKWARDEN_REQUIRE_REDIS` is `1`.
pub(crate) fn with_redis(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    if Program::found().is_empty() {
        without(name, "redis-server or valkey-server in PATH", "HOOKWARDEN_REQUIRE_REDIS")
    } else {
        always(name, test)
    }
}

/// A server program.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// Its name and version, such as `Redis 7.0.15`.
    pub(crate) version: String,
}

impl Program {
    /// Returns `redis-server` and `valkey-server` in `PATH`, and then the programs in `HOOKWARDEN_REDIS_SERVERS`, whose
    /// paths are separated by `:`. Tests use the first one unless they run with [`using`](Self::using).
    pub(crate) fn found() -> &'static [Self] {
        static FOUND: LazyLock<Vec<Program>> = LazyLock::new(|| {
            let in_path = ["redis-server", "valkey-server"].iter().filter_map(|name| Program::at(Path::new(name)));
            let listed = std::env::var_os("HOOKWARDEN_REDIS_SERVERS").unwrap_or_default();
            let listed = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).map(|path| {
                let program = Program::at(&path);
                program.unwrap_or_else(|| panic!("HOOKWARDEN_REDIS_SERVERS: {} must be a server", path.display()))
            });
            in_path.chain(listed).collect()
        });
        &FOUND
    }

    /// Runs a test whose servers are of this program.
    pub(crate) fn using(&'static self, test: impl FnOnce()) {
        CURRENT.set(Some(self));
        test();
    }

    /// Returns the program for a new server of the test that runs in this thread.
    pub(crate) fn current() -> &'static Path {
        let program = CURRENT.get().or_else(|| Self::found().first());
        program.map_or(Path::new("redis-server"), |program| &program.path)
    }

    fn at(path: &Path) -> Option<Self> {
        let output = Command::new(path).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (name, rest) = text.split_once(" server v=")?;
        Some(Self { path: path.to_owned(), version: format!("{name} {}", rest.split(' ').next()?) })
    }
}

thread_local! {
    /// The program of the test that runs in this thread.
    static CURRENT: Cell<Option<&'static Program>> = const { Cell::new(None) };
}
