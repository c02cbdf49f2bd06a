//! The Warden of `hookwarden listen`.

use std::cell::OnceCell;
use std::time::Duration;

use hookwarden::event::{Outcome, SecurityEvent};
use hookwarden::handshake::Handshake;
use hookwarden::headers::Head;
use hookwarden::message_signatures::Profile;
use hookwarden::secret::KeyId;
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{ConfigError, IdSource, Keyring, Scheme, Warden};

use super::Listen;
use crate::failure::Failure;
use crate::named_keys::NamedKeys;

/// The event of one request.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) outcome: Outcome,
    pub(super) key_id: Option<KeyId>,
    pub(super) header: Option<String>,
    pub(super) skew: Option<i64>,
}

tokio::task_local! {
    /// The event of the request that this task handles. A Warden calls its observer in the task of the request.
    pub(super) static SEEN: OnceCell<Seen>;
}

/// The keys of the sender.
pub(super) enum Keys {
    All(Keyring),
    /// Of a request those that its signature names.
    ByName(Box<Profile>, NamedKeys),
}

/// A Warden with the library's default limits and replay protection. Quotas would refuse the requests of a developer who
/// tries many times.
pub(super) fn build(arguments: &Listen, scheme: &Scheme, keys: Keys) -> Result<Warden, Failure> {
    let observer = |event: &SecurityEvent<'_>| {
        let header = event.header.map(str::to_owned);
        let seen = Seen { outcome: event.outcome, key_id: event.key_id, header, skew: event.skew };
        // Every request has its task and one event.
        let _ = SEEN.try_with(|slot| slot.set(seen));
    };
    let builder = Warden::builder(scheme.clone());
    let builder = match keys {
        Keys::All(keys) => builder.only_sender(keys),
        Keys::ByName(profile, NamedKeys { keyrings, places }) => {
            let id = |place: usize| format!("key-{place}");
            let id_of = move |head: &dyn Head| match profile.keyid(head) {
                Some(keyid) => places.get(&keyid).map_or_else(|| UNKNOWN.to_owned(), |place| id(*place)),
                // Without a keyid, the verifier refuses the request and says why.
                None => id(0),
            };
            let builder = keyrings
                .into_iter()
                .enumerate()
                .fold(builder, |builder, (place, keys)| builder.sender(id(place), keys));
            builder.webhook_id(IdSource::closure(move |head| Some(id_of(head))))
        }
    };
    let mut builder = builder
        .quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected())
        .body(BodyLimits::new().max_bytes(arguments.max_body()))
        .replay(replay(arguments, scheme))
        .observer(observer);
    if arguments.handshake {
        builder = builder.handshake(handshake(arguments)?);
    }
    if !scheme.coverage().body {
        builder = builder.danger_unsigned_body();
    }
    builder.build().map_err(|error| Failure::Input(explained(&error)))
}

/// Which copies are duplicates. A claim lasts longer than the application may take, so that no copy runs beside it.
fn replay(arguments: &Listen, scheme: &Scheme) -> Replay {
    let lease = arguments.timeout.saturating_add(LEASE_MARGIN);
    duplicates(arguments, scheme).lease(lease.clamp(SHORTEST_LEASE, LONGEST_LEASE))
}

/// The duplicates of a scheme without a timestamp are those that the provider's file recommends.
fn duplicates(arguments: &Listen, scheme: &Scheme) -> Replay {
    if scheme.is_timestamped() {
        return Replay::new();
    }
    let provider = arguments.verifying.provider();
    let Some(duplicates) = provider.as_ref().and_then(|provider| provider.duplicates()) else {
        let is_profile = arguments.verifying.is_profile();
        return Replay::new().lifetime(if is_profile { PROFILE_LIFETIME } else { UNSTAMPED_LIFETIME });
    };
    let replay = match duplicates.lifetime {
        Some(lifetime) => Replay::new().lifetime(lifetime),
        None => Replay::new().danger_simultaneous_only(),
    };
    match &duplicates.unsigned_id_header {
        Some(name) => replay.danger_unsigned_id_header(name.clone()),
        None => replay,
    }
}

fn handshake(arguments: &Listen) -> Result<Handshake, Failure> {
    let provider = arguments.verifying.provider();
    let provider = provider.ok_or_else(|| {
        Failure::input(
            "--handshake",
            "requires the name of a provider in --scheme, because its file describes the challenges",
        )
    })?;
    let handshake = Handshake::provider(provider.name()).map_err(|error| Failure::input("--handshake", error))?;
    match &arguments.handshake_token_env {
        Some(name) => {
            let token = std::env::var(name);
            Ok(handshake
                .with_token(token.map_err(|_| Failure::input(name, "must be set in the environment, and be UTF-8"))?))
        }
        None => Ok(handshake),
    }
}

/// The error, with the option that corrects it in place of the method.
fn explained(error: &ConfigError) -> String {
    match error.field() {
        "handshake.token" => "--handshake-token-env: must name the variable with the token, if the provider's challenges contain one, and only then".into(),
        "handshake.accept_if" => "--handshake: must be omitted for this provider: its challenge contains a new secret, which only an application can store".into(),
        _ => error.to_string(),
    }
}

/// How long an equal body is a duplicate if the scheme has no timestamp and the provider's file recommends nothing.
const UNSTAMPED_LIFETIME: Duration = Duration::from_secs(3_600);

/// It must be longer than a signature of the profile with a time is valid: a day for UCP.
const PROFILE_LIFETIME: Duration = Duration::from_secs(3 * 86_400);

/// The id of a sender that is not configured.
const UNKNOWN: &str = "unknown";

const LEASE_MARGIN: Duration = Duration::from_secs(30);

const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// The maximum that a Warden accepts.
const LONGEST_LEASE: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        listen: Listen,
    }

    #[test]
    fn lease_is_longer_than_the_timeout() {
        for (timeout, expected) in [("1s", 60), ("30s", 60), ("31s", 61), ("10m", 630)] {
            let Arguments { listen } = Arguments::parse_from(["listen", "--timeout", timeout]);
            for scheme in [Scheme::timestamped(), Scheme::github()] {
                let replay = format!("{:?}", replay(&listen, &scheme));
                assert!(replay.contains(&format!("lease: Some({expected}s)")), "{timeout}: {replay}");
            }
        }
    }

    #[test]
    fn longest_timeout_has_an_accepted_lease() {
        let Arguments { listen } = Arguments::parse_from(["listen", "--timeout", "24h"]);
        let scheme = Scheme::timestamped();
        let keys = Keyring::new(scheme.secret("only-for-this-test").unwrap());
        let warden = build(&listen, &scheme, Keys::All(keys)).unwrap();
        assert_eq!(warden.body_limit(), 1_048_576);
    }
}
