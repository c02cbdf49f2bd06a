//! What several commands take: a scheme, secrets, headers, a body. Secrets come from the environment, a file or standard
//! input and never from an argument, since arguments show in process lists.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use hookwarden::{ConfigError, Key, Keyring, Scheme};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// `--scheme`.
#[derive(Debug, Args)]
pub(crate) struct SchemeArgument {
    /// How messages are signed: timestamped, standard_webhooks, stripe, github, slack, or a TOML file that describes a scheme
    #[arg(long, value_name = "NAME|FILE", default_value = "timestamped")]
    scheme: String,
}

impl SchemeArgument {
    /// What a preset or a file's path stands for, where it comes from elsewhere than the command line.
    pub(crate) fn named(scheme: impl Into<String>) -> Self {
        Self { scheme: scheme.into() }
    }

    pub(crate) fn scheme(&self) -> Result<Scheme, Failure> {
        let presets = [Scheme::timestamped, Scheme::standard_webhooks, Scheme::stripe, Scheme::github, Scheme::slack]
            .map(|p| p());
        let known = presets.each_ref().map(Scheme::name);
        let wanted = self.scheme.replace('-', "_");
        if let Some(index) = known.iter().position(|name| *name == wanted) {
            return presets.into_iter().nth(index).ok_or_else(|| Failure::input("--scheme", "is unknown"));
        }
        let path = Path::new(&self.scheme);
        if !path.exists() {
            let problem = format!("{} is neither a file nor one of {}", self.scheme, known.join(", "));
            return Err(Failure::input("--scheme", problem));
        }
        let text = text_of(path)?;
        toml::from_str(&text).map_err(|error| Failure::file(path, at_line(&text, &error)))
    }
}

/// Where a secret comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SecretArguments {
    /// The environment variable that holds the secret [default: HOOKWARDEN_SECRET]
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// A file that holds the secret, - for standard input; one line break at its end is not part of the secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl SecretArguments {
    /// The secret's text as it was given.
    pub(crate) fn text(&self) -> Result<SecretText, Failure> {
        match &self.secret_file {
            Some(path) => SecretText::of_file(path),
            None => SecretText::of_variable(self.secret_env.as_deref().unwrap_or(SECRET_VARIABLE)),
        }
    }

    /// The secrets, one a line and the newest first, as `scheme` reads them.
    pub(crate) fn keyring(&self, scheme: &Scheme) -> Result<Keyring, Failure> {
        let cannot = |error: ConfigError| Failure::Input(error.to_string());
        let mut keys = Vec::new();
        for (number, text) in (1_u32..).zip(self.text()?.each()) {
            keys.push(Key::new(&format!("secret-{number}"), scheme.secret(text).map_err(cannot)?).map_err(cannot)?);
        }
        Keyring::from_keys(keys).map_err(cannot)
    }

    /// Whether standard input is taken by the secret.
    #[expect(clippy::wrong_self_convention, reason = "it asks where the secret comes from and converts nothing")]
    pub(crate) fn from_standard_input(&self) -> bool {
        self.secret_file.as_deref().is_some_and(is_standard_input)
    }
}

/// A secret as its owner has it, not yet decoded. `Debug` shows nothing of it.
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The content of a file, `-` for standard input, without one line break at its end.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        let bytes = Zeroizing::new(bytes_of(path)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::file(path, "is not UTF-8"))?;
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of the environment variable `name`.
    pub(crate) fn of_variable(name: &str) -> Result<Self, Failure> {
        match std::env::var(name) {
            Ok(text) => Ok(Self(Zeroizing::new(text))),
            Err(std::env::VarError::NotPresent) => {
                let problem = format!("{name} is not set in the environment; set it, or name a file");
                Err(Failure::Input(format!("secret: {problem}")))
            }
            Err(std::env::VarError::NotUnicode(_)) => Err(Failure::input(name, "is not UTF-8")),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Each of several secrets, or a single one as it is.
    pub(crate) fn each(&self) -> impl Iterator<Item = &str> {
        let several = self.0.lines().nth(1).is_some();
        let single = (!several).then_some(self.as_str());
        single.into_iter().chain(self.0.lines().filter(move |_| several))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A header of the caller's own, `Name: value`.
#[derive(Debug, Clone)]
pub(crate) struct HeaderArgument {
    pub(crate) name: http::HeaderName,
    pub(crate) value: http::HeaderValue,
}

impl FromStr for HeaderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("has no colon; write it as 'Name: value'")?;
        let name = name.trim().parse().map_err(|_| "what stands before the colon is no header name")?;
        let value =
            value.trim().parse().map_err(|_| format!("the value of {name} has characters that no header may have"))?;
        Ok(Self { name, value })
    }
}

/// The bytes of a file, or of standard input for `-`.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    if is_standard_input(path) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Failure::input("standard input", error))?;
        Ok(bytes)
    } else {
        fs::read(path).map_err(|error| Failure::file(path, error))
    }
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes_of(path)?).map_err(|_| Failure::file(path, "is not UTF-8"))
}

pub(crate) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What is wrong with a TOML document and in which line, without the line itself: it may hold a secret.
pub(crate) fn at_line(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
    match line {
        Some(before) => format!("line {}: {}", before.saturating_add(1), error.message()),
        None => error.message().to_owned(),
    }
}

/// Holds the secret unless another place is named.
const SECRET_VARIABLE: &str = "HOOKWARDEN_SECRET";
