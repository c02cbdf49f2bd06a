//! The Sentinels of a primary, and which server they name.
//!
//! The client's own module for Sentinels is not used. It takes the first answer, although a Sentinel that was cut off
//! still names the old primary. And it reads `SENTINEL MASTERS`, in which the Sentinel that leads a failover names the
//! old primary until all replicas follow the new one.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, FromRedisValue as _, RedisError, RedisResult, Value};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::address::{Host, SentinelAddress, Template};

pub(super) struct Sentinels {
    name: String,
    node: Template,
    sentinels: Vec<Sentinel>,
    /// How long an answer is awaited, including connecting.
    patience: Duration,
    seen: Mutex<Option<Seen>>,
}

/// The primary of the last answers, and when they came.
struct Seen {
    primary: Primary,
    at: Instant,
}

/// A server that Sentinels name as the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) host: Host,
    /// Grows with each failover.
    epoch: u64,
}

/// Why no primary is known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No Sentinel answered in time.
    Silent,
    /// The primary refused.
    Client(RedisError),
    /// The server that the Sentinels name is a replica.
    Replica(Host),
    /// A Sentinel refused, or the connection to it failed.
    Refused(Host, RedisError),
    NoSentinel(Host),
    UnknownName(Host),
}

struct Sentinel {
    host: Host,
    client: Client,
    config: AsyncConnectionConfig,
    /// Empty while a question is in progress, so that a connection without an answer is not used again.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    pub(super) fn new(address: SentinelAddress, connect_timeout: Duration) -> RedisResult<Self> {
        let SentinelAddress { hosts, sentinel, name, node } = address;
        // Leave the other half of the time for connecting to the primary.
        let patience = LONGEST_PATIENCE.min(connect_timeout.div_f32(2.0));
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let sentinels = hosts.into_iter().map(|host| {
            let client = Client::open(sentinel.at(&host))?;
            Ok(Sentinel { host, client, config: config.clone(), connection: Mutex::default() })
        });
        Ok(Self { name, node, sentinels: sentinels.collect::<RedisResult<_>>()?, patience, seen: Mutex::default() })
    }

    /// Returns the client of a primary.
    pub(super) fn client(&self, primary: &Primary) -> RedisResult<Client> {
        Client::open(self.node.at(&primary.host))
    }

    /// Returns the name by which the Sentinels know the primary.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the clients of the Sentinels themselves.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.sentinels.iter().map(|sentinel| &sentinel.client)
    }

    /// Asks all Sentinels at once which server is the primary. Once most of them have answered, waits only
    /// [`GRACE`] for the others.
    pub(super) async fn primary(&self, current: Option<&Primary>) -> Result<Primary, Trouble> {
        self.ask(current, GRACE).await
    }

    /// Returns whether the Sentinels name another primary. Waits for all of them, because no request waits for this.
    pub(super) async fn have_replaced(&self, current: &Primary) -> bool {
        self.ask(Some(current), self.patience).await.is_ok_and(|primary| primary != *current)
    }

    /// Completes when the Sentinels name another primary.
    pub(super) async fn replacement(&self, current: &Primary) {
        loop {
            sleep(PAUSE).await;
            if self.have_replaced(current).await {
                return;
            }
        }
    }

    async fn ask(&self, current: Option<&Primary>, grace: Duration) -> Result<Primary, Trouble> {
        let (listed, began) = (self.sentinels.len(), Instant::now());
        let ask = async |sentinel: &Sentinel| timeout(self.patience, sentinel.ask(&self.name)).await;
        let mut asked: FuturesUnordered<_> = self.sentinels.iter().map(ask).collect();
        let (mut answers, mut trouble) = (Vec::new(), Trouble::Silent);
        let mut limit = self.patience;
        while let Ok(Some(answer)) = timeout(limit.saturating_sub(began.elapsed()), asked.next()).await {
            match answer {
                Ok(Ok(primary)) => answers.push(primary),
                // A refusal says more than a connection that failed.
                Ok(Err(new)) if new.weight() > trouble.weight() => trouble = new,
                Ok(Err(_)) | Err(_) => {}
            }
            if is_newer(&answers, current) {
                break;
            }
            if answers.len() == majority(listed) {
                limit = limit.min(began.elapsed().saturating_add(grace));
            }
        }
        // Keep the lock: another question may end at the same time.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        decide(&answers, listed, current, &mut seen, (began, Instant::now())).ok_or(trouble)
    }
}

impl Sentinel {
    async fn ask(&self, name: &str) -> Result<Primary, Trouble> {
        let refused = |error| Trouble::Refused(self.host.clone(), error);
        let existing = self.slot().take();
        if let Some(mut connection) = existing
            && let Ok(replies) = question(name, &mut connection).await
        {
            *self.slot() = Some(connection);
            return self.read(replies);
        }
        let connecting = self.client.get_multiplexed_async_connection_with_config(&self.config);
        let mut connection = connecting.await.map_err(refused)?;
        let replies = question(name, &mut connection).await.map_err(refused)?;
        *self.slot() = Some(connection);
        self.read(replies)
    }

    fn read(&self, replies: Vec<RedisResult<Value>>) -> Result<Primary, Trouble> {
        let refused = |error: RedisError| {
            let is_unknown = error.detail().is_some_and(|detail| detail.contains("unknown command"));
            if is_unknown { Trouble::NoSentinel(self.host.clone()) } else { Trouble::Refused(self.host.clone(), error) }
        };
        let mut replies = replies.into_iter();
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        let address = Option::<(String, u16)>::from_redis_value(next().map_err(refused)?);
        let Some((name, port)) = address.map_err(|error| refused(error.into()))? else {
            return Err(Trouble::UnknownName(self.host.clone()));
        };
        let state = HashMap::<String, String>::from_redis_value(next().map_err(refused)?);
        let state = state.map_err(|error| refused(error.into()))?;
        let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
        let host = Host::announced(&name, port).ok_or_else(|| Trouble::UnknownName(self.host.clone()))?;
        Ok(Primary { host, epoch })
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn weight(&self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::Refused(_, error) if error.is_io_error() => 1,
            _ => 2,
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        Self::Client(error)
    }
}

/// Asks for the address and the epoch in one pipeline, so that both are from the same moment. During a failover only
/// `GET-MASTER-ADDR-BY-NAME` returns the new address, and only `MASTER` has the epoch.
async fn question(name: &str, connection: &mut MultiplexedConnection) -> RedisResult<Vec<RedisResult<Value>>> {
    let mut question = ::redis::pipe();
    for part in ["GET-MASTER-ADDR-BY-NAME", "MASTER"] {
        question.cmd("SENTINEL").arg(part).arg(name);
    }
    question.ignore_errors().query_async(connection).await
}

/// Returns whether an answer is from a failover after the current primary's.
fn is_newer(answers: &[Primary], current: Option<&Primary>) -> bool {
    current.is_some_and(|current| answers.iter().any(|answer| answer.epoch > current.epoch))
}

/// Returns the primary to use, after which only a later one counts for some time. At first only the Sentinel that leads a
/// failover knows it, and the others may answer faster when the store connects. If another question ended while this one
/// was in progress, its answers may be newer, so these can only lead to a later failover.
fn decide(
    answers: &[Primary],
    listed: usize,
    current: Option<&Primary>,
    seen: &mut Option<Seen>,
    (began, now): (Instant, Instant),
) -> Option<Primary> {
    let is_outdated = seen.as_ref().is_some_and(|seen| seen.at > began);
    let recent = seen.as_ref().filter(|seen| now.saturating_duration_since(seen.at) < AGREEMENT);
    let recent = recent.map(|seen| &seen.primary);
    let latest = current.into_iter().chain(recent).max_by_key(|known| known.epoch);
    let for_older = if is_outdated { None } else { for_older(listed, latest == recent) };
    let chosen = choose(answers, listed, latest, for_older)?;
    let is_later = seen.as_ref().is_none_or(|seen| seen.primary.epoch < chosen.epoch);
    if answers.contains(&chosen) && (is_later || !is_outdated) {
        *seen = Some(Seen { primary: chosen.clone(), at: now });
    }
    Some(chosen)
}

/// Returns the answer of the latest failover.
///
/// Sentinels that were cut off before a failover, or do not know it yet, name the old primary. Its process may have been
/// started again and accept writes. So an answer from before the failover of the current primary counts only if
/// [`for_older`] Sentinels answer.
fn choose(answers: &[Primary], listed: usize, current: Option<&Primary>, for_older: Option<usize>) -> Option<Primary> {
    let votes = |answer: &Primary| answers.iter().filter(|other| *other == answer).count();
    let Some(latest) = answers.iter().max_by_key(|answer| (answer.epoch, votes(answer))) else {
        return current.cloned();
    };
    let needed = match current.map(|current| latest.epoch.cmp(&current.epoch)) {
        None | Some(Ordering::Greater) => Some(1),
        Some(Ordering::Equal) => Some(majority(listed)),
        Some(Ordering::Less) => for_older,
    };
    if needed.is_some_and(|needed| answers.len() >= needed) { Some(latest.clone()) } else { current.cloned() }
}

/// Returns how many Sentinels must answer before an earlier failover counts. If every Sentinel of the URL gives one, they
/// were set up again and count from zero. That is never certain with one name, which may lead to another Sentinel each
/// time. If none has named the current primary recently, a majority is enough, because they have undone its promotion.
fn for_older(listed: usize, is_recent: bool) -> Option<usize> {
    if is_recent { Some(listed).filter(|listed| *listed > 1) } else { Some(majority(listed)) }
}

const fn majority(listed: usize) -> usize {
    listed.div_euclid(2).saturating_add(1)
}

/// How long to wait for the other Sentinels after a majority has answered.
const GRACE: Duration = Duration::from_millis(20);

/// How long Sentinels may disagree after a failover. They exchange their views every 2 s, and after 8 s they undo a
/// promotion that they don't know.
const AGREEMENT: Duration = Duration::from_secs(10);

/// The pause between two questions while a primary does not answer.
const PAUSE: Duration = Duration::from_millis(100);

const LONGEST_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn primary((name, epoch): (&str, u64)) -> Primary {
        Primary { host: Host { name: name.into(), port: 6379 }, epoch }
    }

    #[test]
    fn latest_failover_wins_over_old_views() {
        for (answers, current, expected) in [
            // All agree.
            (&[("a", 1), ("a", 1), ("a", 1)][..], None, Some("a")),
            // One Sentinel leads a failover, and the others don't know it yet.
            (&[("a", 1), ("b", 2), ("a", 1)], Some(("a", 1)), Some("b")),
            // One Sentinel was cut off before the failover.
            (&[("a", 1), ("b", 2), ("b", 2)], None, Some("b")),
            (&[("a", 1)], Some(("b", 2)), Some("b")),
            (&[("a", 1)], None, Some("a")),
            (&[("b", 2)], Some(("a", 1)), Some("b")),
            // The Sentinels were set up again, so their epochs start from zero.
            (&[("c", 0), ("c", 0), ("c", 0)], Some(("b", 2)), Some("c")),
            // Two Sentinels don't know the failover yet, and the third one is slow.
            (&[("a", 1), ("a", 1)], Some(("b", 2)), Some("b")),
            // The same epoch with two names: most Sentinels decide.
            (&[("b", 2), ("a", 2), ("a", 2)], Some(("b", 2)), Some("a")),
            (&[("a", 2)], Some(("b", 2)), Some("b")),
            (&[], Some(("b", 2)), Some("b")),
            (&[], None, None),
        ] {
            let answers: Vec<_> = answers.iter().copied().map(primary).collect();
            let current = current.map(primary);
            let chosen = choose(&answers, 3, current.as_ref(), for_older(3, true));
            assert_eq!(chosen.map(|chosen| chosen.host.name).as_deref(), expected, "{answers:?} after {current:?}");
        }
    }

    #[test]
    fn sentinels_with_old_view_do_not_lead_back() {
        let (start, mut seen) = (Instant::now(), None);
        for (seconds, answers, current, expected) in [
            // Only the Sentinel that leads the failover knows it, and answers before the others.
            (0, &[("b", 2)][..], Some(("a", 1)), "b"),
            // It answers after the others, while the store still uses the old primary.
            (1, &[("a", 1), ("a", 1)], Some(("a", 1)), "b"),
            (2, &[("a", 1), ("a", 1)], None, "b"),
            (3, &[], Some(("a", 1)), "b"),
            (9, &[("a", 1), ("b", 2)], Some(("b", 2)), "b"),
            (18, &[("a", 1), ("a", 1)], Some(("b", 2)), "b"),
            // The promotion was undone.
            (19, &[("a", 1)], Some(("b", 2)), "b"),
            (19, &[("a", 1), ("a", 1)], Some(("b", 2)), "a"),
            (20, &[("c", 3), ("a", 1)], Some(("a", 1)), "c"),
            // All were set up again.
            (21, &[("d", 0), ("d", 0)], Some(("c", 3)), "c"),
            (21, &[("d", 0), ("d", 0), ("d", 0)], Some(("c", 3)), "d"),
            (22, &[("d", 0), ("d", 0)], Some(("d", 0)), "d"),
        ] {
            let answers: Vec<_> = answers.iter().copied().map(primary).collect();
            let now = start + Duration::from_secs(seconds);
            let decided = decide(&answers, 3, current.map(primary).as_ref(), &mut seen, (now, now)).unwrap();
            assert_eq!(decided.host.name, expected, "{seconds} s: {answers:?} after {current:?}");
        }
    }

    #[test]
    fn single_name_does_not_lead_back_soon() {
        let (start, mut seen) = (Instant::now(), None);
        for (seconds, answer, current, expected) in [
            (0, ("b", 2), Some(("a", 1)), "b"),
            // The name leads to another Sentinel, which does not know the failover yet.
            (1, ("a", 1), None, "b"),
            (9, ("a", 1), Some(("b", 2)), "b"),
            (10, ("a", 1), Some(("b", 2)), "a"),
            (11, ("c", 3), Some(("a", 1)), "c"),
        ] {
            let now = start + Duration::from_secs(seconds);
            let current = current.map(primary);
            let decided = decide(&[primary(answer)], 1, current.as_ref(), &mut seen, (now, now)).unwrap();
            assert_eq!(decided.host.name, expected, "{seconds} s: {answer:?} after {current:?}");
        }
    }

    #[test]
    fn older_question_only_leads_to_later_failover() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seen_after = |answers: &[(&str, u64)], began| {
            let mut seen = Some(Seen { primary: primary(("b", 2)), at: at(2) });
            let answers: Vec<_> = answers.iter().copied().map(primary).collect();
            let decided = decide(&answers, 3, None, &mut seen, (at(began), at(3))).unwrap();
            (decided.host.name, seen.unwrap().primary.host.name)
        };
        let (old, new) = ([("a", 1); 3], [("c", 3)]);
        for (answers, began, expected) in
            [(&old[..], 1, "b"), (&old, 2, "a"), (&new, 1, "c"), (&new, 2, "c"), (&[("d", 2); 3], 2, "d")]
        {
            assert_eq!(seen_after(answers, began), (expected.into(), expected.into()), "{answers:?} from {began} s");
        }
    }
}
