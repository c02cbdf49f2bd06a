//! Providers by name: their schemes, and what a receiver should know about them.
//!
//! [`Scheme::provider`] returns the scheme of a provider. [`Provider`] also has the facts around it: what identifies an
//! event, which headers are not signed, how the provider retries, and messages to test with. With the feature `warden` it
//! also has the provider's handshake, and `Handshake::provider` returns it by the provider's name. The facts were checked against
//! the provider's page or SDK, which [`Provider::source`] names.
//!
//! ```
//! use hookwarden::providers::Provider;
//! use hookwarden::{Keyring, Scheme};
//!
//! let scheme = Scheme::provider("mux")?;
//! let keys = Keyring::new(scheme.secret("the-secret-that-mux-shows")?);
//!
//! let mux = Provider::find("Mux")?;
//! println!("{}: {}, retries: {}", mux.title(), mux.source(), mux.retries());
//! assert!(Scheme::provider("muxx").unwrap_err().to_string().ends_with("did you mean mux?"));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! # Which names exist
//!
//! [`Provider::all`] lists the providers, and `hookwarden providers` prints them. Senders that follow Standard Webhooks have
//! names too: `Scheme::provider("openai")` is that scheme with the name `openai`. Names are compared without case, and a
//! space, `-` or `.` counts as `_`: `Help Scout` finds `help_scout`.

mod document;
#[cfg(feature = "warden")]
mod handshake;
mod table;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use self::document::Facts;
use self::table::FILES;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::scheme::SchemeDocument;

pub use self::document::{Adopter, Duplicates, Vector};

/// What is known about a provider.
///
/// ```
/// use hookwarden::providers::Provider;
///
/// let github = Provider::find("github")?;
/// assert_eq!(github.scheme()?.coverage().to_string(), "body");
/// assert!(github.unsigned().iter().any(|header| header == "X-GitHub-Event"));
/// // The scheme signs no timestamp, so there is a recommended choice for equal bodies.
/// println!("{}", github.duplicates().map_or("", |duplicates| &duplicates.reason));
/// assert_eq!(github.unsigned_id(), Some("X-GitHub-Delivery"));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Provider {
    name: &'static str,
    scheme: Result<Scheme, ConfigError>,
    facts: Facts,
    text: &'static str,
}

impl Provider {
    /// Finds a provider by its name, by an alias or by the name of a sender that adopted its scheme. For such a sender,
    /// it is the provider whose scheme was adopted.
    ///
    /// # Errors
    /// There is no such name. The error suggests the nearest one.
    pub fn find(name: &str) -> Result<Self, ConfigError> {
        let wanted = normal(name);
        let has_name = |file: &&table::File| file.names().any(|known| known == wanted);
        match FILES.iter().find(has_name) {
            Some(file) => Self::read(file),
            None => Err(ConfigError::new("provider", unknown(name, &wanted))),
        }
    }

    /// All providers, in the order of their names. It parses every file.
    pub fn all() -> impl Iterator<Item = Self> {
        // A test reads every file.
        FILES.iter().filter_map(|file| Self::read(file).ok())
    }

    fn read(file: &table::File) -> Result<Self, ConfigError> {
        let document: SchemeDocument<Facts> = toml::from_str(file.text)
            .map_err(|error| ConfigError::new("provider", alloc::format!("{}: {}", file.name, error.message())))?;
        let (scheme, facts) = document.split();
        let facts = facts.ok_or_else(|| {
            ConfigError::new("provider", alloc::format!("must have facts, but {} has none", file.name))
        })?;
        Ok(Self { name: file.name, scheme, facts, text: file.text })
    }

    /// The name, such as `mux`: that of the scheme.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The name as the provider writes it, such as `GitHub`.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.facts.title
    }

    /// Other names of the provider.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.facts.aliases
    }

    /// Senders that adopted the scheme as it is.
    #[must_use]
    pub fn adopters(&self) -> &[Adopter] {
        &self.facts.adopters
    }

    /// The scheme.
    ///
    /// # Errors
    /// The scheme's algorithm needs a feature that is off.
    pub fn scheme(&self) -> Result<Scheme, ConfigError> {
        self.scheme.clone()
    }

    /// The provider's page, or the repository of its SDK, against which the scheme was checked.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.facts.source
    }

    /// The SDK against which the scheme was checked, with its version.
    #[must_use]
    pub fn sdk(&self) -> Option<&str> {
        self.facts.sdk.as_deref()
    }

    /// The header with an id of the event that the provider does not sign. A signed one is
    /// [`Scheme::delivery_id`](crate::Scheme::delivery_id).
    #[must_use]
    pub fn unsigned_id(&self) -> Option<&str> {
        self.facts.unsigned_id.as_deref()
    }

    /// The recommended choice for equal bodies, if the scheme signs no timestamp.
    #[must_use]
    pub const fn duplicates(&self) -> Option<&Duplicates> {
        self.facts.duplicates.as_ref()
    }

    /// Headers that the provider sends and does not sign. Anyone who has a message can change them.
    #[must_use]
    pub fn unsigned(&self) -> &[String] {
        &self.facts.unsigned
    }

    /// What may surprise a receiver, one sentence each.
    #[must_use]
    pub fn quirks(&self) -> &[String] {
        &self.facts.quirks
    }

    /// When and how often the provider retries.
    #[must_use]
    pub fn retries(&self) -> &str {
        &self.facts.retries
    }

    /// The file: the scheme as a [description](crate::scheme::Scheme#schemes-in-toml), and the table `[provider]`.
    #[must_use]
    pub const fn document(&self) -> &'static str {
        self.text
    }

    /// Signed messages.
    #[must_use]
    pub fn vectors(&self) -> &[Vector] {
        &self.facts.vectors
    }
}

impl Scheme {
    /// The scheme of a provider, such as `mux`, `Shopify` or `openai`: see [`providers`](crate::providers).
    ///
    /// ```
    /// use hookwarden::Scheme;
    ///
    /// assert_eq!(Scheme::provider("Shopify")?.signature_headers()[0].as_str(), "X-Shopify-Hmac-Sha256");
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// There is no such provider, or its algorithm needs a feature that is off.
    pub fn provider(name: &str) -> Result<Self, ConfigError> {
        let Provider { scheme, facts, .. } = Provider::find(name)?;
        let wanted = normal(name);
        match facts.adopters.into_iter().find(|adopter| adopter.name() == wanted) {
            Some(adopter) => scheme?.into_builder().name(Cow::Owned(adopter.into_name())).build(),
            None => scheme,
        }
    }
}

/// The form in which names are compared.
fn normal(name: &str) -> String {
    let plain = |letter: char| if matches!(letter, ' ' | '-' | '.') { '_' } else { letter.to_ascii_lowercase() };
    name.chars().map(plain).collect()
}

fn unknown(name: &str, wanted: &str) -> String {
    let names: Vec<&str> = FILES.iter().flat_map(table::File::names).collect();
    let nearest = names.iter().map(|known| (strsim::normalized_damerau_levenshtein(known, wanted), *known));
    let nearest = nearest.max_by(|(one, _), (other, _)| one.total_cmp(other)).filter(|(score, _)| *score >= NEAR);
    match nearest {
        Some((_, known)) => alloc::format!("unknown provider {name:?}: did you mean {known}?"),
        None => alloc::format!("unknown provider {name:?}"),
    }
}

/// The least similarity of a name that is suggested: at most one letter of three is wrong.
const NEAR: f64 = 0.66;
