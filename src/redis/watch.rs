//! Leaves a primary that Sentinels have replaced, even if it still answers.
//!
//! Processes must leave it at the same time: while one writes to the old primary and another to the new one, both are
//! granted the same delivery. So the Sentinels are asked when one of them announces a failover. They are also asked
//! regularly, because an announcement can be lost.

use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::aio::PubSubStream;
use ::redis::{Client, RedisResult};
use futures_util::stream::{BoxStream, select_all, unfold};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{sleep, timeout};

use super::link::Link;

/// Closes the link when Sentinels name another primary. Reopening it connects to the new one.
pub(super) fn watch_primary(link: &Arc<Link>) {
    let sentinels = link.server.sentinel_clients();
    if !sentinels.is_empty() {
        link.runtime.spawn(watch(Arc::downgrade(link), select_all(sentinels.into_iter().map(announcements))));
    }
}

/// Runs while the link has another owner.
async fn watch(link: Weak<Link>, mut announced: impl Stream<Item = ()> + Unpin) {
    loop {
        // The result does not matter: ask in both cases.
        let _ = timeout(WATCH_PAUSE, announced.next()).await;
        let Some(link) = link.upgrade() else { return };
        // A closed link asks the Sentinels itself.
        if link.ready().is_ok() && link.server.is_replaced().await {
            link.close();
        }
    }
}

/// Returns an endless stream of the failovers that one Sentinel announces.
fn announcements(sentinel: Client) -> BoxStream<'static, ()> {
    let next = async |(sentinel, mut subscription): (Client, Option<PubSubStream>)| loop {
        let mut messages = match subscription.take() {
            Some(messages) => messages,
            None => subscribe(&sentinel).await,
        };
        if messages.next().await.is_some() {
            return Some(((), (sentinel, Some(messages))));
        }
        sleep(SUBSCRIBE_PAUSE).await;
    };
    unfold((sentinel, None), next).boxed()
}

async fn subscribe(sentinel: &Client) -> PubSubStream {
    loop {
        let subscribing = async {
            let mut connection = sentinel.get_async_pubsub().await?;
            connection.subscribe(CHANNELS).await?;
            RedisResult::Ok(connection.into_on_message())
        };
        if let Ok(Ok(messages)) = timeout(SUBSCRIBE_PAUSE, subscribing).await {
            return messages;
        }
        sleep(SUBSCRIBE_PAUSE).await;
    }
}

/// The Sentinel that leads a failover announces the first one, and each Sentinel the second one when it knows the new
/// primary.
const CHANNELS: &[&str] = &["+promoted-slave", "+switch-master"];

/// The pause between two questions without an announcement.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

/// The pause before a new attempt to subscribe, and the time it may take.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);
