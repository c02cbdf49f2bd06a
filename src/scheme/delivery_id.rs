//! Where the id of a delivery is.

use alloc::borrow::Cow;
use alloc::string::String;

use super::check::demand;
use super::{Scheme, SignedPart};
use crate::error::ConfigError;
use crate::headers::FieldName;

/// Where a message carries the id of its delivery. The sender signs the id, and a retry has the same id even if it is
/// signed again.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::scheme::DeliveryIdSource;
///
/// let scheme = Scheme::standard_webhooks();
/// assert!(matches!(scheme.delivery_id(), Some(DeliveryIdSource::Header(name)) if name.as_str() == "webhook-id"));
/// assert_eq!(Scheme::stripe().delivery_id(), Some(&DeliveryIdSource::Body("/id".into())));
/// assert!(Scheme::github().delivery_id().is_none()); // X-GitHub-Delivery is not signed
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryIdSource {
    /// The value of a header that the scheme signs.
    Header(FieldName),
    /// The string at this place of the JSON body, a JSON pointer
    /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) such as `/id`.
    Body(Cow<'static, str>),
}

impl Scheme {
    /// Where a message carries the id of its delivery, if the scheme names it.
    #[must_use]
    pub const fn delivery_id(&self) -> Option<&DeliveryIdSource> {
        self.delivery_id.as_ref()
    }

    pub(super) fn check_delivery_id(&self) -> Result<(), ConfigError> {
        match &self.delivery_id {
            None => Ok(()),
            Some(DeliveryIdSource::Header(name)) => {
                let is_signed = self.signed.iter().any(|part| match part {
                    SignedPart::Header(signed) => signed == name,
                    SignedPart::ListedHeaders(listed) => listed.require.contains(name),
                    _ => false,
                });
                demand(
                    is_signed,
                    "delivery_id.header",
                    "must be a header that the scheme signs, because anyone could change the id of a captured message",
                )
            }
            Some(DeliveryIdSource::Body(pointer)) => {
                demand(is_json_pointer(pointer), "delivery_id.body", "must be a JSON pointer such as `/id`")?;
                demand(self.coverage().body, "delivery_id.body", "must be in a body that the scheme covers")
            }
        }
    }
}

/// Whether the text is a JSON pointer to a part of a document
/// ([RFC 6901 section 3](https://www.rfc-editor.org/rfc/rfc6901#section-3)).
fn is_json_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// As in a file: `{ header = "webhook-id" }` or `{ body = "/id" }`.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeliveryIdDocument {
    Header(String),
    Body(String),
}
