//! The secret or the public key of a new key: generated, or supplied and checked.

use std::path::Path;

use hookwarden::Scheme;
use zeroize::Zeroizing;

use crate::audit::finding::Severity;
use crate::failure::Failure;
use crate::input::SecretText;
use crate::keys_file::FileKey;
use crate::secret::kind::Kind;
use crate::secret::{public, strength};

/// The options for a new key.
pub(super) struct Source<'s> {
    pub(super) kind: Option<Kind>,
    pub(super) variable: Option<&'s str>,
    pub(super) file: Option<&'s Path>,
    /// Whether the secret is to be printed or written for the sender.
    pub(super) shows_secret: bool,
}

/// The content of a new key.
pub(super) struct Material {
    /// The text in the keys file.
    pub(super) text: Zeroizing<String>,
    /// Whether the text is a public key.
    pub(super) is_public: bool,
    /// The text of the public key, if the scheme uses public keys.
    pub(super) public_key: Option<String>,
}

impl Source<'_> {
    /// Returns a public key if `sender` has one among `keys`, and otherwise a secret or a private key.
    pub(super) fn material(&self, sender: &str, keys: &[FileKey], scheme: &Scheme) -> Result<Material, Failure> {
        if keys.iter().any(|key| key.is_public && key.sender == sender) {
            return self.public_key(sender, keys, scheme);
        }
        let text = match self.supplied()? {
            Some((source, text)) => secret(&source, &text, scheme)?,
            None => self.generate(scheme)?,
        };
        let wrong = |error: hookwarden::ConfigError| Failure::Input(error.to_string());
        let decoded = scheme.secret(&text).map_err(wrong)?;
        let public_key = decoded.public_key().map(|key| public::text_of(key, scheme));
        Ok(Material { text, is_public: false, public_key })
    }

    /// The supplied text and the name of its source.
    fn supplied(&self) -> Result<Option<(String, SecretText)>, Failure> {
        Ok(match (self.variable, self.file) {
            (Some(name), _) => Some((name.to_owned(), SecretText::of_variable(name)?)),
            (None, Some(path)) => Some((path.display().to_string(), SecretText::of_file(path)?)),
            (None, None) => None,
        })
    }

    fn generate(&self, scheme: &Scheme) -> Result<Zeroizing<String>, Failure> {
        let kind = self.kind.unwrap_or_else(|| fitting(scheme));
        if kind == Kind::Env {
            return Err(Failure::input("--kind", "must be a single kind, not env, because a key has one secret"));
        }
        let text = kind.generate()?;
        scheme.secret(&text).map(|_| text).map_err(|error| Failure::input("--kind", error))
    }

    fn public_key(&self, sender: &str, keys: &[FileKey], scheme: &Scheme) -> Result<Material, Failure> {
        let Some((source, supplied)) = self.supplied()? else {
            let problem = format!(
                "must be set, because {sender} has public keys; give the new public key, which the provider shows"
            );
            return Err(Failure::input("--secret-file", problem));
        };
        if self.shows_secret {
            let problem = "must not be set with a public key, which the sender has already";
            return Err(Failure::input("--show-secret and --secret-output", problem));
        }
        let text = supplied.as_str();
        let private = scheme.secret(text).ok();
        let is_private = |problem: &str| {
            let fix = "give the public key, which `hookwarden secret public` prints";
            Err(Failure::input(&source, format!("must be a public key, but is {problem}; {fix}")))
        };
        match scheme.public_key(text) {
            Err(_) if private.is_some() => is_private("a private key"),
            Err(error) => Err(Failure::input(&source, error)),
            Ok(key) => {
                // The bytes of an Ed25519 private key can also be those of a public key.
                let own = private.as_ref().and_then(|private| private.public_key());
                let pair = |known: &&FileKey| own.is_some() && scheme.public_key(&known.secret).ok().as_ref() == own;
                if let Some(known) = keys.iter().find(pair) {
                    return is_private(&format!("the private key of {}", known.name()));
                }
                let text = Zeroizing::new(text.to_owned());
                Ok(Material { text, is_public: true, public_key: Some(public::text_of(&key, scheme)) })
            }
        }
    }
}

/// Checks a supplied secret or private key.
fn secret(source: &str, supplied: &SecretText, scheme: &Scheme) -> Result<Zeroizing<String>, Failure> {
    let text = Zeroizing::new(supplied.as_str().to_owned());
    scheme.secret(&text).map_err(|error| Failure::input(source, error))?;
    if scheme.algorithm().uses_public_keys() {
        // The characters of a key pair do not show its strength.
        return Ok(text);
    }
    for weakness in strength::weaknesses(&text) {
        let problem = format!("the secret {}; {}", weakness.detail, weakness.fix);
        if weakness.severity == Severity::High {
            return Err(Failure::input(source, problem));
        }
        // Only warn: some providers issue short secrets.
        anstream::eprintln!("{source}: {problem}");
    }
    Ok(text)
}

/// A kind of secret that `scheme` can decode.
fn fitting(scheme: &Scheme) -> Kind {
    match scheme.name() {
        "standard_webhooks" => Kind::Whsec,
        "standard_webhooks_v1a" => Kind::Whsk,
        _ if scheme.secret(&"z".repeat(64)).is_ok() => Kind::Webhook,
        _ => Kind::Encryption,
    }
}
