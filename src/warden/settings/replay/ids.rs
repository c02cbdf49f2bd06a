//! Whether and for how long ids of deliveries are stored.

use std::time::Duration;

use crate::error::ConfigError;
use crate::headers::FieldName;
use crate::scheme::{DeliveryIdSource, Scheme};
use crate::warden::delivery_ids::DeliveryIds;
use crate::warden::settings::{require, whole_seconds};

/// The settings of ids that the sender signs.
#[derive(Debug)]
pub(super) struct IdSettings {
    pub(super) in_body: bool,
    pub(super) off: bool,
    pub(super) lifetime: Option<Duration>,
}

impl IdSettings {
    pub(super) const UNSET: Self = Self { in_body: false, off: false, lifetime: None };

    /// Returns which ids are used. `unsigned` is the header with an unsigned id. `is_stored`: handled deliveries are stored.
    pub(super) fn build(
        &self,
        scheme: &Scheme,
        unsigned: Option<FieldName>,
        is_stored: bool,
    ) -> Result<DeliveryIds, ConfigError> {
        let signed = self.signed(scheme)?.cloned();
        let Some(lifetime @ 1..) = whole_seconds(self.lifetime.unwrap_or(DEFAULT_LIFETIME)) else {
            let problem = format!("must be whole seconds from 1 s to {} s", u32::MAX);
            return Err(ConfigError::new("replay.delivery_id_lifetime", problem));
        };
        require(
            self.lifetime.is_none() || (signed.is_some() && is_stored),
            "replay.delivery_id_lifetime",
            "must not be set, because no delivery id is stored: name it in the scheme with \
             `SchemeBuilder::delivery_id_header`, or call `body_delivery_id` for an id in the body",
        )?;
        require(
            !self.in_body || is_stored,
            "replay.body_delivery_id",
            "must not be set with `danger_simultaneous_only`, which stores no handled delivery: remove one of the two",
        )?;
        require(
            unsigned.is_none() || !matches!(signed, Some(DeliveryIdSource::Header(_))),
            "replay.danger_unsigned_id_header",
            "must not be set for a scheme that signs an id in a header: remove it, or call `no_delivery_id`",
        )?;
        Ok(DeliveryIds { signed, lifetime, unsigned })
    }

    /// Returns the id of the scheme that is used.
    fn signed<'s>(&self, scheme: &'s Scheme) -> Result<Option<&'s DeliveryIdSource>, ConfigError> {
        let source = scheme.delivery_id();
        let name = scheme.name();
        let fault = |field, problem: String| Err(ConfigError::new(field, problem));
        match (source, self.in_body, self.off) {
            (_, true, true) => {
                fault("replay.no_delivery_id", "must not be set with `body_delivery_id`: remove one of the two".into())
            }
            (Some(DeliveryIdSource::Body(_)), in_body, false) => Ok(source.filter(|_| in_body)),
            (_, true, false) => fault(
                "replay.body_delivery_id",
                format!(
                    "requires a scheme with an id in the body, which {name} does not name: add it with \
                     `scheme.into_builder().delivery_id_in_body(\"/id\").build()?`"
                ),
            ),
            (Some(DeliveryIdSource::Header(_)), false, true) => Ok(None),
            (_, false, true) => fault(
                "replay.no_delivery_id",
                format!("must not be set for {name}, which names no header with an id: remove it"),
            ),
            (source, false, false) => Ok(source),
        }
    }
}

/// How long Stripe and Standard Webhooks retry: <https://docs.stripe.com/webhooks>.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3 * 86_400);
