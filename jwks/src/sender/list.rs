//! The list of revoked keys of a sender. It is fetched at the same time as the keys, and if its fetch fails, that of the keys
//! counts as failed too.

use std::sync::Arc;
use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::clock::ClockReading;
use tokio::task::JoinSet;

use super::Sender;
use super::state::LoadedList;
use crate::fetch::{Document, Fetcher};
use crate::report;
use crate::revocation::{ListVerifier, Signed};

/// Where the list of a sender is published.
pub(crate) struct RevocationSource {
    pub(crate) fetcher: Fetcher,
    pub(crate) verifier: ListVerifier,
}

/// A fetch of the list.
pub(super) struct ListFetch {
    source: Arc<RevocationSource>,
    /// One task. Dropping the set ends it.
    tasks: JoinSet<Result<Document, String>>,
    began: Duration,
    /// The wall clock, not before `began`.
    wall: Timestamp,
}

impl Sender {
    /// Starts to fetch the list, if there is one and it is due.
    pub(super) fn begin_list(&self, began: Duration) -> Option<ListFetch> {
        let now = ClockReading { monotonic: began, ..self.clock.now() };
        let source = self.revocations.clone().filter(|_| self.lock().is_list_due(now))?;
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let source = source.clone();
            async move { source.fetcher.fetch().await }
        });
        Some(ListFetch { source, tasks, began, wall: now.wall })
    }

    /// Waits for the list and uses it.
    ///
    /// # Errors
    /// It could not be fetched, or must not be used.
    pub(super) async fn end_list(&self, fetch: Option<ListFetch>) -> Result<(), String> {
        let Some(mut fetch) = fetch else { return Ok(()) };
        let document = match fetch.tasks.join_next().await {
            Some(Ok(document)) => document,
            _ => Err("the fetch was cancelled, or its task panicked".into()),
        };
        let accepted = document.and_then(|document| self.accept_list(&fetch, &document));
        accepted.map_err(|problem| format!("list of revoked keys: {problem}"))
    }

    fn accept_list(&self, fetch: &ListFetch, document: &Document) -> Result<(), String> {
        let keys = self.lock().loaded.as_ref().map(|loaded| loaded.set.list_keys.clone()).unwrap_or_default();
        let RevocationSource { fetcher, verifier } = &*fetch.source;
        let Signed { kid, list } = verifier.read(&document.bytes, &fetcher.location, &keys, fetch.wall)?;
        let now = self.clock.now();
        let mut state = self.lock();
        let is_revoked = state.is_revoked(&kid);
        // The same list can be accepted again and again.
        let is_news = list.is_overdue && !state.list.as_ref().is_some_and(|current| current.list.is_overdue);
        let stale_after = list.stale_after;
        let is_newer = |current: &LoadedList| current.list.updated > list.updated;
        match &mut state.list {
            // A fetch whose runtime did not run can end after a later one.
            Some(current) if current.since > fetch.began => {}
            // The servers of one network have different lists for a while.
            Some(current) if is_newer(current) && current.is_fresh(now) => {
                current.checked = fetch.began;
            }
            // Whoever has a revoked key could otherwise sign a list without it.
            _ if is_revoked => return Err("kid: must not be that of a revoked key".into()),
            Some(current) if is_newer(current) => {
                return Err("updated: must not be before that of the list in use".into());
            }
            _ => {
                state.list = Some(LoadedList { list, since: fetch.began, checked: fetch.began });
                drop(state);
                if is_news {
                    report::overdue(self, &fetcher.location, stale_after);
                }
            }
        }
        Ok(())
    }
}
