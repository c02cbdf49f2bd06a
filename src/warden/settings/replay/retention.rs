//! How long a delivery is stored, and which deliveries are duplicates if the scheme signs no timestamp.

use std::time::Duration;

use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::scheme::Scheme;
use crate::verifier::Rules;
use crate::warden::settings::whole_seconds;
use crate::warden::stores::Lifetime;

/// The settings that decide how long a delivery is stored.
#[derive(Debug)]
pub(super) struct Retention {
    pub(super) margin: Option<Duration>,
    pub(super) lifetime: Option<Duration>,
    pub(super) simultaneous_only: bool,
    pub(super) unsigned_id: Option<String>,
}

impl Retention {
    pub(super) const UNSET: Self = Self { margin: None, lifetime: None, simultaneous_only: false, unsigned_id: None };

    /// Returns how long each delivery is stored, and the header that distinguishes equal bodies.
    pub(super) fn build(self, rules: &Rules, deadline: Duration) -> Result<(Lifetime, Option<FieldName>), ConfigError> {
        if rules.scheme.is_timestamped() {
            self.while_fresh(rules, deadline).map(|lifetime| (lifetime, None))
        } else {
            self.chosen(&rules.scheme, deadline)
        }
    }

    fn while_fresh(&self, rules: &Rules, deadline: Duration) -> Result<Lifetime, ConfigError> {
        let choices = [
            ("replay.lifetime", self.lifetime.is_some()),
            ("replay.danger_simultaneous_only", self.simultaneous_only),
            ("replay.danger_unsigned_id_header", self.unsigned_id.is_some()),
        ];
        if let Some((field, _)) = choices.into_iter().find(|(_, is_set)| *is_set) {
            let name = rules.scheme.name();
            let problem = format!(
                "must not be set for {name}, which signs a timestamp: to store deliveries for longer, set `margin`"
            );
            return Err(ConfigError::new(field, problem));
        }
        let Some(margin) = self.margin.map_or(Some(DEFAULT_MARGIN), whole_seconds) else {
            let problem = format!("must be whole seconds from 0 s to {} s", u32::MAX);
            return Err(ConfigError::new("replay.margin", problem));
        };
        Ok(Lifetime::WhileFresh { tolerance: rules.tolerance, margin: margin.saturating_add(until_body(deadline)) })
    }

    /// Returns the choice for `scheme`, which signs no timestamp. A signed header that differs between messages does
    /// not replace the choice: the message still never expires.
    fn chosen(self, rules: &Scheme, deadline: Duration) -> Result<(Lifetime, Option<FieldName>), ConfigError> {
        let scheme = rules.name();
        let fault = |field, problem: String| Err(ConfigError::new(field, problem));
        if self.margin.is_some() {
            let problem = format!("must not be set for {scheme}, because it signs no timestamp: remove `margin`");
            return fault("replay.margin", problem);
        }
        match (self.simultaneous_only, self.lifetime, self.unsigned_id) {
            (false, None, None) => fault(
                "replay",
                format!(
                    "must define when equal bodies are duplicates, because {scheme} signs no timestamp: set \
                     `Replay::lifetime` (within the lifetime), `Replay::danger_simultaneous_only` (while the handler \
                     runs), or `Replay::danger_unsigned_id_header` with a lifetime (if their ids are equal)"
                ),
            ),
            (false, None, Some(_)) => {
                fault("replay.lifetime", "must be set with `danger_unsigned_id_header`: how long to store an id".into())
            }
            (true, None, None) => Ok((Lifetime::WhileHandled, None)),
            (true, ..) => fault(
                "replay.danger_simultaneous_only",
                "must not be set with `lifetime` or `danger_unsigned_id_header`: choose one".into(),
            ),
            (false, Some(lifetime), unsigned_id) => {
                let Some(seconds @ 1..) = whole_seconds(lifetime) else {
                    return fault("replay.lifetime", format!("must be whole seconds from 1 s to {} s", u32::MAX));
                };
                let beyond_validity = until_body(deadline).saturating_add(DEFAULT_MARGIN);
                let shortest = rules.min_replay_lifetime().map(|seconds| seconds.saturating_add(beyond_validity));
                if let Some(shortest) = shortest.filter(|shortest| seconds < *shortest) {
                    let problem = format!(
                        "must be at least {shortest} s for {scheme}, which is longer than the maximum age and clock skew of \
                         its profile, the deadline of the body and {DEFAULT_MARGIN} s for clock differences together"
                    );
                    return fault("replay.lifetime", problem);
                }
                let unsigned_id = unsigned_id.map(FieldName::new).transpose().map_err(|error| {
                    ConfigError::new("replay.danger_unsigned_id_header", format!("must be a header's name: {error}"))
                })?;
                Ok((Lifetime::AfterArrival { seconds }, unsigned_id))
            }
        }
    }
}

/// If a head arrives in its last fresh second, its body can still arrive until the deadline.
fn until_body(deadline: Duration) -> u32 {
    u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX).saturating_add(1)
}

/// In seconds, for clock differences between replicas.
const DEFAULT_MARGIN: u32 = 10;
