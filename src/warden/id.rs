//! Where a request says which webhook it is for.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrayvec::ArrayString;
use percent_encoding::percent_decode_str;

use crate::error::{ConfigError, Reason};
use crate::headers::{FieldName, Head, Occurrence};
#[cfg(feature = "tower")]
use crate::occurrences::Occurrences;

/// Where the webhook id of a request is found.
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
    /// Always `id`: an endpoint of one sender.
    #[must_use]
    pub fn fixed(id: impl Into<Cow<'static, str>>) -> Self {
        Self(Source::Fixed(id.into()))
    }

    /// The parameter `name` of the route's path, where the framework has matched one: `id` of `/webhooks/{id}`.
    #[must_use]
    pub fn path_parameter(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Source::PathParameter(PathParameter {
            name: name.into(),
            #[cfg(feature = "tower")]
            missing: Arc::default(),
        }))
    }

    /// The segment `index` of the path as sent, counted from 0: `acme` is segment 1 of `/webhooks/acme`. It is
    /// percent-decoded once.
    #[must_use]
    pub const fn path_segment(index: usize) -> Self {
        Self(Source::PathSegment(index))
    }

    /// The value of a header, which must occur once.
    ///
    /// # Errors
    /// The name is not a token.
    pub fn header(name: &str) -> Result<Self, ConfigError> {
        FieldName::new(name).map(Source::Header).map(Self)
    }

    /// What `find` makes of the head. `None` is treated as an unknown id.
    #[must_use]
    pub fn closure(find: impl Fn(&dyn Head) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Source::Closure(Arc::new(find)))
    }

    /// The route's parameter to read, if that is where the id is.
    #[cfg(feature = "tower")]
    pub(crate) const fn parameter(&self) -> Option<&PathParameter> {
        match &self.0 {
            Source::PathParameter(parameter) => Some(parameter),
            _ => None,
        }
    }

    /// The id, wherever it is but in a path parameter, which only a framework knows.
    pub(crate) fn find(&self, head: &dyn Head) -> Result<WebhookId, IdFault> {
        match &self.0 {
            Source::Fixed(id) => Ok(WebhookId::from(&**id)),
            Source::PathParameter(_) => Err(IdFault::NoSuchParameter),
            Source::PathSegment(index) => {
                let path = head.path().ok_or(IdFault::NoSuchParameter)?;
                let path = path.split_once('?').map_or(path, |(path, _)| path);
                let segment = path.trim_start_matches('/').split('/').nth(*index).ok_or(IdFault::Unreadable)?;
                let text = percent_decode_str(segment).decode_utf8().map_err(|_| IdFault::Unreadable)?;
                Ok(WebhookId::from(&*text))
            }
            Source::Header(name) => match head.header(name) {
                Occurrence::Once(value) => {
                    std::str::from_utf8(value).map(WebhookId::from).map_err(|_| IdFault::Unreadable)
                }
                Occurrence::Absent => Err(IdFault::Header(Reason::MissingHeader)),
                Occurrence::Repeated => Err(IdFault::Header(Reason::DuplicateHeader)),
            },
            Source::Closure(find) => match catch_unwind(AssertUnwindSafe(|| find(head))) {
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
    /// The requests whose route didn't have it.
    #[cfg(feature = "tower")]
    missing: Arc<Occurrences>,
}

#[cfg(feature = "tower")]
impl PathParameter {
    #[cfg(feature = "_router")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reports that the route doesn't have the parameter. `log` gets its name and the count of such requests.
    pub(crate) fn missing(&self, log: impl FnOnce(&str, u64)) -> IdFault {
        if let Some(count) = self.missing.count_to_log() {
            log(&self.name, count);
        }
        IdFault::NoSuchParameter
    }
}

/// A webhook id as a request gave it. One of ordinary length is kept in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebhookId {
    Short(ArrayString<SHORT>),
    Long(Arc<str>),
}

impl From<&str> for WebhookId {
    fn from(text: &str) -> Self {
        ArrayString::from(text).map_or_else(|_| Self::Long(text.into()), Self::Short)
    }
}

impl WebhookId {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

/// Bytes enough for a UUID with a prefix.
const SHORT: usize = 56;

/// Why a request has no webhook id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdFault {
    /// The route has none where the Warden looks for it: the endpoint's own fault.
    NoSuchParameter,
    /// The application's closure panicked.
    Panicked,
    /// What the request gave is no id.
    Unreadable,
    /// The header that carries it is missing or repeated.
    Header(Reason),
}
