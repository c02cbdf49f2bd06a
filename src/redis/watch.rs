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
    if let Some(sentinels) = link.server.sentinels() {
        let name: Arc<str> = sentinels.name().into();
        let announced = sentinels.clients().map(|client| announcements(client.clone(), Arc::clone(&name)));
        link.runtime.spawn(watch(Arc::downgrade(link), select_all(announced)));
    }
}

/// Runs while the link has another owner.
async fn watch(link: Weak<Link>, mut announced: impl Stream<Item = ()> + Unpin) {
    loop {
        // Ask in both cases.
        let is_announced = timeout(WATCH_PAUSE, announced.next()).await.is_ok();
        {
            // Do not own the link during a pause.
            let Some(link) = link.upgrade() else { return };
            // A closed link asks the Sentinels itself.
            if link.ready().is_ok() && link.server.is_replaced().await {
                link.close();
            }
        }
        if is_announced {
            sleep(SHORTEST_WATCH_PAUSE).await;
        }
    }
}

/// Returns an endless stream of the failovers of a primary that one Sentinel announces.
fn announcements(sentinel: Client, name: Arc<str>) -> BoxStream<'static, ()> {
    let next = async |(sentinel, name, mut subscription): (Client, Arc<str>, Option<PubSubStream>)| loop {
        let mut messages = match subscription.take() {
            Some(messages) => messages,
            None => subscribe(&sentinel).await,
        };
        loop {
            match timeout(SUBSCRIPTION_TIME, messages.next()).await {
                Ok(Some(message)) if concerns(message.get_payload_bytes(), &name) => {
                    return Some(((), (sentinel, name, Some(messages))));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    sleep(SUBSCRIBE_PAUSE).await;
                    break;
                }
                // The connection may have ended without notice.
                Err(_) => break,
            }
        }
    };
    unfold((sentinel, name, None), next).boxed()
}

/// Returns whether an announcement is of the primary with this name. The name is one of its words.
fn concerns(announcement: &[u8], name: &str) -> bool {
    announcement.split(|&byte| byte == b' ').any(|word| word == name.as_bytes())
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

/// The pause after a question that an announcement caused. All Sentinels announce the same failover.
const SHORTEST_WATCH_PAUSE: Duration = Duration::from_millis(50);

/// The time without an announcement after which the subscription is made again.
const SUBSCRIPTION_TIME: Duration = Duration::from_secs(30);

/// The pause before a new attempt to subscribe, and the time it may take.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_of_other_primaries_are_ignored() {
        for (announcement, expected) in [
            ("main 10.0.0.1 6379 10.0.0.2 6379", true),
            ("slave 10.0.0.2:6379 10.0.0.2 6379 @ main 10.0.0.1 6379", true),
            ("main-2 10.0.0.1 6379 10.0.0.2 6379", false),
            ("slave 10.0.0.2:6379 10.0.0.2 6379 @ other 10.0.0.1 6379", false),
            ("", false),
        ] {
            assert_eq!(concerns(announcement.as_bytes(), "main"), expected, "{announcement}");
        }
    }
}
