//! Log lines of the test's thread.

use std::sync::{Arc, Mutex};

/// The log lines of this crate, as `LEVEL target message`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Records until the guard is dropped.
    pub(crate) fn record() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// Returns the lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic under the lock").clone()
    }

    /// Asserts that there is one line, which starts with `start` and contains each of `parts`.
    #[track_caller]
    pub(crate) fn assert_one_line(&self, start: &str, parts: &[&str]) {
        let lines = self.lines();
        let [line] = lines.as_slice() else { panic!("not one line: {lines:?}") };
        assert!(line.starts_with(start), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("hookwarden")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} {} ", event.metadata().level(), event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                line.push_str(&format!("{value:?}"));
            }
        });
        self.0.lock().expect("no panic under the lock").push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
