//! The fields of a response that show a sender its quota: draft-ietf-httpapi-ratelimit-headers-10. Only verified senders get
//! them.

use std::time::Duration;

use arrayvec::ArrayString;
use http::{HeaderName, HeaderValue};

use crate::limit::{Quota, QuotaState};

/// The names and values of the fields.
pub(crate) type QuotaFields = [(HeaderName, HeaderValue); 2];

/// A quota, and the field that describes it, which is rendered once.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) quota: Quota,
    field: HeaderValue,
}

impl From<Quota> for Policy {
    fn from(quota: Quota) -> Self {
        Self { quota, field: render("\"webhook\";q=", quota.burst(), ";w=", quota.window()) }
    }
}

impl Policy {
    /// Returns the fields for the state of the quota.
    pub(super) fn fields(&self, state: QuotaState) -> QuotaFields {
        let limit = render("\"webhook\";r=", state.remaining, ";t=", state.reset);
        [(POLICY, self.field.clone()), (LIMIT, limit)]
    }
}

/// Renders a field without `core::fmt`, which takes several times as long: every answer to a verified sender has one.
fn render(start: &str, count: u32, middle: &str, time: Duration) -> HeaderValue {
    let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
    // Enough for the largest numbers.
    let mut text = ArrayString::<64>::new();
    for part in [start, first.format(count), middle, second.format(whole_seconds(time))] {
        text.push_str(part);
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Rounds up, because these fields and `Retry-After` have whole seconds, and a sender must not retry too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// The names of the fields.
pub(crate) const NAMES: [&str; 2] = ["ratelimit-policy", "ratelimit"];

const POLICY: HeaderName = HeaderName::from_static(NAMES[0]);
const LIMIT: HeaderName = HeaderName::from_static(NAMES[1]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_numbers_fit_into_the_fields() {
        let quota = Quota::new(u32::MAX, Duration::from_micros(1)).unwrap();
        let state = QuotaState { remaining: u32::MAX, reset: Duration::MAX };
        let [(_, policy), (_, limit)] = Policy::from(quota).fields(state);
        assert_eq!(policy, "\"webhook\";q=4294967295;w=4295");
        assert_eq!(limit, "\"webhook\";r=4294967295;t=18446744073709551615");
    }
}
