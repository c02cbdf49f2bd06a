//! Where the id of a delivery is.

use alloc::borrow::Cow;

use super::template::SignedPart;
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

impl DeliveryIdSource {
    /// Checks the place against the signed parts of the scheme.
    pub(super) fn check(&self, signed: &[SignedPart], covers_body: bool) -> Result<(), ConfigError> {
        let fault = match self {
            Self::Header(name) => {
                let signs = |part: &SignedPart| match part {
                    SignedPart::Header(signed) => signed == name,
                    SignedPart::ListedHeaders(listed) => listed.require.contains(name),
                    _ => false,
                };
                (!signed.iter().any(signs)).then_some(("delivery_id.header", NOT_SIGNED))
            }
            Self::Body(pointer) if !is_json_pointer(pointer) => {
                Some(("delivery_id.body", "must be a JSON pointer such as `/id`"))
            }
            Self::Body(_) => (!covers_body).then_some(("delivery_id.body", "must be in a body that the scheme covers")),
        };
        fault.map_or(Ok(()), |(field, problem)| Err(ConfigError::fixed(field, problem)))
    }
}

const NOT_SIGNED: &str =
    "must be a header that the scheme signs, because anyone could change the id of a captured message";

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
    Header(alloc::string::String),
    Body(alloc::string::String),
}
