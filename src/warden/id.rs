//! The webhook id of a request.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrayvec::ArrayString;
use percent_encoding::percent_decode_str;

use crate::error::{ConfigError, Reason};
use crate::headers::{FieldName, Head, Occurrence};
use crate::keyed_hash::HashedKey;
#[cfg(feature = "tower")]
use crate::occurrences::Occurrences;

/// Where a request carries its webhook id. The Warden looks up the sender's keys by this id.
///
/// The default is the path parameter `id`, which the axum and actix adapters read from the route. Choose another source
/// if the route has no such parameter, or without a router.
///
/// ```
/// use hookwarden::{IdSource, Keyring, Scheme, Warden};
///
/// let scheme = Scheme::stripe();
/// let keys = Keyring::new(scheme.secret("whsec_a-secret-as-stripe-shows-it")?);
///
/// // One sender: the id is only a name, here and in `sender`, for logs and quotas.
/// let warden = Warden::builder(scheme).sender("stripe", keys).webhook_id(IdSource::fixed("stripe")).build()?;
///
/// // `/hooks/acme` without a router.
/// let by_path = IdSource::path_segment(1);
/// // `X-Tenant: acme`
/// let by_header = IdSource::header("X-Tenant")?;
/// // Anything else in the head: here `/hooks?tenant=acme`.
/// let by_closure = IdSource::closure(|head| head.path()?.strip_prefix("/hooks?tenant=").map(str::to_owned));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// A route without the path parameter is misconfigured: its requests are answered with 500. If any other source finds
/// no id, the request is refused with 401, like one with an unknown id.
#[derive(Clone)]
pub struct IdSource(Source);

#[derive(Clone)]
enum Source {
    Fixed(Cow<'static, str>),
    PathParameter(PathParameter),
    PathSegment(usize),
    Header(FieldName),
    Closure(Arc<Closure>),
}

type Closure = dyn Fn(&dyn Head) -> Option<String> + Send + Sync;

impl IdSource {
    /// Always `id`, for an endpoint with one sender. Use the same id for the keys; otherwise every request is refused
    /// as unknown.
    #[must_use]
    pub fn fixed(id: impl Into<Cow<'static, str>>) -> Self {
        Self(Source::Fixed(id.into()))
    }

    /// The parameter `name` of the route's path, such as `id` of `/webhooks/{id}`. Only adapters of frameworks with a
    /// router can read it.
    #[must_use]
    pub fn path_parameter(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Source::PathParameter(PathParameter {
            name: name.into(),
            #[cfg(feature = "tower")]
            missing: Arc::default(),
        }))
    }

    /// Segment `index` of the path as sent, counted from 0: in `/webhooks/acme`, `acme` is segment 1. It is
    /// percent-decoded once.
    #[must_use]
    pub const fn path_segment(index: usize) -> Self {
        Self(Source::PathSegment(index))
    }

    /// The value of the header `name`, which must occur exactly once.
    ///
    /// # Errors
    /// Returns an error if `name` is not a valid header name.
    pub fn header(name: &str) -> Result<Self, ConfigError> {
        FieldName::new(name).map(Source::Header).map(Self)
    }

    /// The id that `find` extracts from the head. `None` is treated as an unknown id.
    #[must_use]
    pub fn closure(find: impl Fn(&dyn Head) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Source::Closure(Arc::new(find)))
    }

    /// Returns the path parameter, if this source is one.
    #[cfg(feature = "tower")]
    pub(crate) const fn parameter(&self) -> Option<&PathParameter> {
        match &self.0 {
            Source::PathParameter(parameter) => Some(parameter),
            _ => None,
        }
    }

    /// Returns the id if it is the same for every request.
    pub(super) fn fixed_id(&self) -> Option<&str> {
        match &self.0 {
            Source::Fixed(id) => Some(id),
            _ => None,
        }
    }

    /// Finds the id in the head. Fails for a path parameter, which only a framework knows.
    pub(crate) fn find<H: Head + ?Sized>(&self, head: &H) -> Result<WebhookId, IdFault> {
        match &self.0 {
            Source::Fixed(id) => Ok(WebhookId::from(&**id)),
            Source::PathSegment(index) => segment(head.path(), *index),
            Source::PathParameter(_) => Err(IdFault::NoSuchParameter),
            Source::Header(name) => match head.header(name) {
                Occurrence::Once(value) => {
                    std::str::from_utf8(value).map(WebhookId::from).map_err(|_| IdFault::Unreadable)
                }
                Occurrence::Absent => Err(IdFault::Header(Reason::MissingHeader)),
                Occurrence::Repeated => Err(IdFault::Header(Reason::DuplicateHeader)),
            },
            Source::Closure(find) => match catch_unwind(AssertUnwindSafe(|| find(&head))) {
                Ok(id) => id.as_deref().map(WebhookId::from).ok_or(IdFault::Unreadable),
                Err(_) => Err(IdFault::Panicked),
            },
        }
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(id) => write!(f, "fixed {id:?}"),
            Source::PathParameter(parameter) => write!(f, "path parameter {:?}", parameter.name),
            Source::PathSegment(index) => write!(f, "path segment {index}"),
            Source::Header(name) => write!(f, "header {name:?}"),
            Source::Closure(_) => f.write_str("closure"),
        }
    }
}

/// A parameter of the route's path.
#[derive(Clone)]
pub(crate) struct PathParameter {
    name: Cow<'static, str>,
    /// Counts the requests whose route lacks it.
    #[cfg(feature = "tower")]
    missing: Arc<Occurrences>,
}

#[cfg(feature = "tower")]
impl PathParameter {
    #[cfg(feature = "_router")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reports that the route lacks the parameter. `log` gets its name and the number of such requests.
    pub(crate) fn missing(&self, log: impl FnOnce(&str, u64)) -> IdFault {
        if let Some(count) = self.missing.count_to_log() {
            log(&self.name, count);
        }
        IdFault::NoSuchParameter
    }
}

/// A webhook id, and its hash for the tables of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebhookId {
    text: Text,
    hash: HashedKey,
}

/// A text of at most [`INLINE_BYTES`] bytes is stored inline.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Short(ArrayString<INLINE_BYTES>),
    Long(Arc<str>),
}

impl From<&str> for WebhookId {
    fn from(text: &str) -> Self {
        Self::new(text, || text.into())
    }
}

impl From<&Arc<str>> for WebhookId {
    fn from(text: &Arc<str>) -> Self {
        Self::new(text, || Arc::clone(text))
    }
}

impl WebhookId {
    fn new(text: &str, shared: impl FnOnce() -> Arc<str>) -> Self {
        let hash = HashedKey::of_id(text);
        Self { text: ArrayString::from(text).map_or_else(|_| Text::Long(shared()), Text::Short), hash }
    }

    pub(crate) fn as_str(&self) -> &str {
        match &self.text {
            Text::Short(text) => text,
            Text::Long(text) => text,
        }
    }

    pub(super) const fn hash(&self) -> HashedKey {
        self.hash
    }
}

/// Returns segment `index` of a path, percent-decoded once.
fn segment(path: Option<&str>, index: usize) -> Result<WebhookId, IdFault> {
    let path = path.ok_or(IdFault::NoSuchParameter)?;
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let segment = path.trim_start_matches('/').split('/').nth(index).ok_or(IdFault::Unreadable)?;
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| IdFault::Unreadable)?;
    Ok(WebhookId::from(&*text))
}

/// The maximum length of an inline id, enough for a UUID with a prefix.
const INLINE_BYTES: usize = 48;

/// Why a request has no webhook id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdFault {
    /// The route lacks the parameter: it is misconfigured.
    NoSuchParameter,
    /// The application's closure panicked.
    Panicked,
    /// The value is not an id.
    Unreadable,
    /// The header with the id is missing or occurs twice.
    Header(Reason),
}
