//! The names of captures.

use std::hash::{BuildHasher as _, RandomState};

use crate::event::RefusalReason;
use crate::time::Timestamp;

/// The name of a capture, which is also that of its file:
/// `hookwarden-<Unix seconds>-<reason>-<hash of the known webhook id>-<origin>-<number>.http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaptureName {
    text: String,
    time: i64,
}

impl CaptureName {
    pub(super) fn new(
        time: Timestamp,
        reason: RefusalReason,
        known_id: Option<&str>,
        origin: u64,
        number: u32,
    ) -> Self {
        let (time, hash) = (time.as_unix().max(0), known_id.map_or(0, hash));
        let text = format!("{PREFIX}{time}-{reason}-{hash:08x}-{origin:016x}-{number:06}{SUFFIX}");
        Self { text, time }
    }

    /// Parses the name of a file. Returns `None` for a name that a Warden does not give.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let mut parts = inner.split('-');
        let [time, reason, hash, origin, number] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_ours = parts.next().is_none()
            && is_number(time)
            && is_number(number)
            && RefusalReason::ALL.iter().any(|known| known.as_str() == reason)
            && (hash.len(), origin.len()) == (8, 16)
            && is_hex(hash)
            && is_hex(origin);
        let time = time.parse().ok().filter(|_| is_ours)?;
        Some(Self { text: text.to_owned(), time })
    }

    /// Parses the name of a file that is being written.
    pub(super) fn parse_temporary(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix('.')?.strip_suffix(TEMPORARY)?)
    }

    /// Returns the name of the file while it is being written.
    pub(super) fn temporary(&self) -> String {
        format!(".{}{TEMPORARY}", self.text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns when the request arrived, in Unix seconds.
    pub(super) const fn time(&self) -> i64 {
        self.time
    }

    /// Returns whether a [`group`](Self::group) has one known webhook id.
    pub(super) fn is_group_of_known_id(group: &str) -> bool {
        !group.ends_with("-00000000-")
    }

    /// Returns the part that captures of the same reason and the same known webhook id share.
    pub(super) fn group(&self) -> &str {
        let skip = |text: &str| text.split_once('-').map_or(0, |(first, _)| first.len().saturating_add(1));
        let from = PREFIX.len();
        let from = from.saturating_add(skip(self.text.get(from..).unwrap_or_default()));
        let rest = self.text.get(from..).unwrap_or_default();
        let reason = skip(rest);
        let hash = skip(rest.get(reason..).unwrap_or_default());
        rest.get(..reason.saturating_add(hash)).unwrap_or_default()
    }
}

/// Returns a random number.
pub(super) fn random() -> u64 {
    // Each `RandomState` has other keys.
    RandomState::new().hash_one(std::process::id())
}

/// Returns the FNV-1a hash of a webhook id, which all processes compute alike. A client cannot choose known ids, so nothing
/// depends on its quality.
fn hash(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}

const PREFIX: &str = "hookwarden-";
const SUFFIX: &str = ".http";
const TEMPORARY: &str = ".part";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    #[test]
    fn names_of_every_reason_parse() {
        for (number, reason) in (0..).zip(RefusalReason::ALL) {
            for id in [None, Some("acme"), Some("")] {
                let name = CaptureName::new(Timestamp::from_unix(1_800_000_000), *reason, id, 7, number);
                assert_eq!(CaptureName::parse(name.as_str()), Some(name.clone()));
                assert_eq!(CaptureName::parse_temporary(&name.temporary()), Some(name.clone()));
                assert!(name.group().starts_with(reason.as_str()), "{}", name.group());
            }
        }
    }

    #[test]
    fn group_is_reason_and_known_id() {
        let named = |time, reason, id, number| CaptureName::new(Timestamp::from_unix(time), reason, id, 7, number);
        let mismatch = RefusalReason::Unverified(Reason::Mismatch);
        let group = |time, reason, id, number| named(time, reason, id, number).group().to_owned();
        assert_eq!(group(1, mismatch, Some("acme"), 1), group(2, mismatch, Some("acme"), 2));
        assert_ne!(group(1, mismatch, Some("acme"), 1), group(1, mismatch, Some("beta"), 1));
        assert_ne!(group(1, mismatch, Some("acme"), 1), group(1, RefusalReason::UnknownId, Some("acme"), 1));
        assert_eq!(group(1, RefusalReason::UnknownId, None, 1), group(9, RefusalReason::UnknownId, None, 2));
    }

    #[test]
    fn other_names_do_not_parse() {
        let name = "hookwarden-1800000000-mismatch-00000000-0123456789abcdef-7.http";
        assert!(CaptureName::parse(name).is_some());
        for (from, to) in [
            ("hookwarden", "other"),
            (".http", ".txt"),
            (".http", ""),
            ("mismatch", "notes"),
            ("1800000000", "-1"),
            ("1800000000", ""),
            ("1800000000", "99999999999999999999"),
            ("-00000000-", "-0000000-"),
            ("abcdef", "ABCDEF"),
            ("-7.", "-7-8."),
            ("-7.", "-."),
            ("hookwarden", "../hookwarden"),
        ] {
            assert_eq!(CaptureName::parse(&name.replacen(from, to, 1)), None, "{from} {to}");
        }
    }
}
