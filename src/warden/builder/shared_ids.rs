//! Delivery ids that several endpoints share.

use crate::error::ConfigError;
use crate::warden::stores::ReplayProtection;

/// Returns an error if other endpoints can have the webhook id and the delivery ids of this one. `is_unnamed`: the webhook
/// id is the name of the scheme.
pub(super) fn check_name(is_unnamed: bool, replay: Option<&ReplayProtection>) -> Result<(), ConfigError> {
    if is_unnamed && replay.is_some_and(ReplayProtection::shares_ids) {
        return Err(ConfigError::new("only_sender", UNNAMED));
    }
    Ok(())
}

const UNNAMED: &str = "must not be set with delivery ids in a shared store: two endpoints that get one event would share its \
                       id, and the second would not handle it. Name the sender with \
                       `.sender(\"shop\", keys).webhook_id(IdSource::fixed(\"shop\"))`, or call \
                       `Replay::no_delivery_id`";
