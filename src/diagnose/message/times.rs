//! The times of a signature.

use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::time;
use crate::message_signatures::{Profile, Signed};
use crate::time::{Timestamp, TimestampFormat, Tolerance};

/// Returns what is wrong with `created` and `expires` at the time `now`.
pub(super) fn causes(profile: &Profile, signed: &Signed, tolerance: Tolerance, now: Timestamp) -> Vec<Cause> {
    let skew = profile.clock_skew();
    // A receiver cannot permit more than the profile.
    let tolerance =
        if tolerance.as_duration() < profile.max_age().as_duration() { tolerance } else { profile.max_age() };
    let created = signed.created.and_then(|created| {
        let text = created.as_unix().to_string();
        let wrong = time::wrong(text.as_bytes(), TimestampFormat::Seconds, tolerance, now, HEADER);
        wrong.map(|cause| in_profile(cause, parameters(signed))).or_else(|| early(created, skew, now))
    });
    let expired = signed.expires.filter(|expires| now.seconds_since(*expires) > skew).map(|expires| {
        let age = now.seconds_since(expires);
        Cause::new(
            CauseKind::SignatureExpired,
            format!("the signature expired {age} s ago (parameter expires), and {skew} s are tolerated"),
            "if this request was stored, diagnose it at the time it arrived; otherwise have the sender sign each retry \
             again, and give its signatures more time",
        )
        .at_header(HEADER)
        .of_seconds(age)
    });
    let late =
        signed.expires.filter(|_| signed.created.is_none()).and_then(|expires| late(profile, signed, expires, now));
    // A time in milliseconds is also too early, so `wrong` comes first.
    created.into_iter().chain(expired).chain(late).collect()
}

fn parameters(signed: &Signed) -> &'static str {
    match (signed.created, signed.expires) {
        (Some(_), Some(_)) => "created and expires",
        (None, Some(_)) => "expires",
        _ => "created",
    }
}

/// Returns the cause for an `expires` without `created` that is further in the future than the maximum age.
fn late(profile: &Profile, signed: &Signed, expires: Timestamp, now: Timestamp) -> Option<Cause> {
    let (seconds, max_age) = (expires.seconds_since(now), profile.max_age());
    if u64::try_from(seconds).is_ok_and(|seconds| seconds > max_age.as_duration().as_secs()) {
        let text = expires.as_unix().to_string();
        let wrong = time::wrong(text.as_bytes(), TimestampFormat::Seconds, max_age, now, HEADER);
        let milliseconds = wrong.filter(|cause| cause.kind() == CauseKind::TimestampMilliseconds);
        return Some(
            milliseconds.map_or_else(|| too_late(seconds, max_age), |cause| in_profile(cause, parameters(signed))),
        );
    }
    None
}

fn too_late(seconds: i64, max_age: Tolerance) -> Cause {
    let max_age = max_age.as_seconds();
    Cause::new(
        CauseKind::SignatureParameter,
        format!(
            "the parameter expires is {seconds} s in the future, and without created at most {max_age} s are permitted"
        ),
        format!(
            "on the sender, add created to the signature, or set expires to at most {max_age} s from now; or raise \
             max_age of the receiver's profile; if this request was stored, diagnose it at the time it arrived"
        ),
    )
    .at_header(HEADER)
    .of_seconds(seconds.saturating_neg())
}

/// The cause for a time in another unit without the settings of schemes, which a profile does not have.
fn in_profile(cause: Cause, parameters: &str) -> Cause {
    match cause.kind() {
        CauseKind::TimestampMilliseconds => {
            cause.with_fix(format!("on the sender, write {parameters} in Unix seconds: RFC 9421 permits nothing else"))
        }
        _ => cause,
    }
}

/// Returns the cause for a time within the tolerance, but further in the future than the clocks may differ.
fn early(created: Timestamp, skew: i64, now: Timestamp) -> Option<Cause> {
    let seconds = created.seconds_since(now);
    (seconds > skew).then(|| {
        Cause::new(
            CauseKind::TimestampEarly,
            format!("the signature was created {seconds} s in the future, and {skew} s are tolerated"),
            "synchronize both clocks by NTP: the sender's is ahead, or the receiver's is behind",
        )
        .at_header(HEADER)
        .of_seconds(seconds.saturating_neg())
    })
}

const HEADER: &str = "Signature-Input";
