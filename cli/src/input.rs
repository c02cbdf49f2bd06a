//! Arguments that several commands share: a scheme, secrets, headers. Secrets come from the environment, a file or
//! standard input, and never from an argument, because arguments are visible in process lists.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use hookwarden::providers::Provider;
use hookwarden::secret::KeyMaterial;
use hookwarden::{ConfigError, Key, Keyring, Scheme};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// `--scheme`.
#[derive(Debug, Args)]
pub(crate) struct SchemeArgument {
    /// Use this signing scheme: the name of a provider, such as timestamped, standard_webhooks or stripe (see
    /// `hookwarden providers`), or a TOML file that describes one
    #[arg(long, value_name = "NAME|FILE", default_value = "timestamped")]
    scheme: String,
}

impl SchemeArgument {
    /// The name of a provider or the path of a scheme file that does not come from the command line.
    pub(crate) fn named(scheme: impl Into<String>) -> Self {
        Self { scheme: scheme.into() }
    }

    pub(crate) fn scheme(&self) -> Result<Scheme, Failure> {
        let unknown = match Scheme::provider(&self.scheme) {
            Ok(scheme) => return Ok(scheme),
            Err(error) => error,
        };
        let path = Path::new(&self.scheme);
        if !path.exists() {
            let unknown = unknown.to_string();
            let unknown = unknown.strip_prefix("provider: ").unwrap_or(&unknown);
            let problem = format!("must be a file or one of `hookwarden providers`; {unknown}");
            return Err(Failure::input("--scheme", problem));
        }
        let text = text_of(path)?;
        toml::from_str(&text).map_err(|error| Failure::file(path, at_line(&text, &error)))
    }

    /// The provider of that name, unless the scheme is described in a file.
    pub(crate) fn provider(&self) -> Option<Provider> {
        Provider::find(&self.scheme).ok()
    }
}

/// The source of a secret.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SecretArguments {
    /// Read the secret from this environment variable [default: HOOKWARDEN_SECRET]
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
    /// Read the secret from this file, - for standard input. One line break at its end is ignored
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl SecretArguments {
    /// The secret's text, not yet decoded.
    pub(crate) fn text(&self) -> Result<SecretText, Failure> {
        match &self.secret_file {
            Some(path) => SecretText::of_file(path),
            None => SecretText::of_variable(self.secret_env.as_deref().unwrap_or(SECRET_VARIABLE)),
        }
    }

    /// Whether the secret is read from standard input.
    #[expect(clippy::wrong_self_convention, reason = "it is a question about the source, not a conversion")]
    pub(crate) fn from_standard_input(&self) -> bool {
        self.secret_file.as_deref().is_some_and(is_standard_input)
    }
}

/// A secret's text, not yet decoded. `Debug` does not show it.
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The content of a file, `-` for standard input, without one line break at its end.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Failure> {
        refuse_unknown("--secret-file", path)?;
        let bytes = Zeroizing::new(bytes_of(path)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| match &**bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Failure::file(
                path,
                "must be UTF-8, but is UTF-16, as PowerShell writes it with >; write it with Set-Content -Encoding ascii",
            ),
            _ => Failure::file(path, "must be UTF-8"),
        })?;
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of the environment variable `name`.
    pub(crate) fn of_variable(name: &str) -> Result<Self, Failure> {
        match std::env::var(name) {
            Ok(text) => Ok(Self(Zeroizing::new(text))),
            Err(std::env::VarError::NotPresent) => {
                let shown = if is_variable_name(name) { name } else { "the variable of --secret-env" };
                let problem =
                    format!("must be set: {shown} is not set in the environment; set it, or use --secret-file");
                Err(Failure::input("secret", problem))
            }
            Err(std::env::VarError::NotUnicode(_)) => Err(Failure::input(name, "must be UTF-8")),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The secrets or private keys, to sign with.
    pub(crate) fn signing_keyring(&self, scheme: &Scheme) -> Result<Keyring, Failure> {
        self.keyring(|text| scheme.secret(text).map(Into::into))
    }

    /// The secrets, or the public keys if the scheme uses them, to verify with.
    pub(crate) fn verifying_keyring(&self, scheme: &Scheme) -> Result<Keyring, Failure> {
        if scheme.algorithm().uses_public_keys() {
            self.keyring(|text| scheme.public_key(text).map(Into::into))
        } else {
            self.signing_keyring(scheme)
        }
    }

    /// Decodes [`each`](Self::each) with `decode`. The key ids are `secret-1`, `secret-2` and so on.
    fn keyring(&self, decode: impl Fn(&str) -> Result<KeyMaterial, ConfigError>) -> Result<Keyring, Failure> {
        let cannot = |error: ConfigError| Failure::Input(error.to_string());
        let mut keys = Vec::new();
        for (number, text) in self.usable(&decode) {
            keys.push(Key::new(&format!("secret-{number}"), decode(text).map_err(cannot)?).map_err(cannot)?);
        }
        Keyring::from_keys(keys).map_err(cannot)
    }

    /// Each key of a JWK Set, or each block of PEM and each other line if there are several; otherwise the whole text.
    pub(crate) fn each(&self) -> Vec<&str> {
        if let Ok(set) = serde_json::from_str::<KeySet<'_>>(self.as_str()) {
            return set.keys.iter().map(|key| key.get()).collect();
        }
        let is_json = || serde_json::from_str::<IgnoredAny>(self.as_str()).is_ok();
        if self.0.trim_start().starts_with('{') && is_json() {
            return vec![self.as_str()];
        }
        if self.0.lines().nth(1).is_none() {
            return vec![self.as_str()];
        }
        let (mut entries, mut rest) = (Vec::new(), self.as_str());
        while !rest.is_empty() {
            let end = rest.find("-----END ").filter(|_| rest.starts_with("-----BEGIN ")).unwrap_or_default();
            let line = rest.get(end..).and_then(|last| last.find('\n')).map(|length| end.saturating_add(length));
            let (entry, after) = rest.split_at_checked(line.unwrap_or(rest.len())).unwrap_or((rest, ""));
            entries.push(entry.strip_suffix('\r').unwrap_or(entry));
            rest = after.strip_prefix('\n').unwrap_or(after);
        }
        entries
    }
}

/// A JWK Set.
#[derive(Deserialize)]
struct KeySet<'t> {
    #[serde(borrow)]
    keys: Vec<&'t RawValue>,
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// An additional header, `Name: value`.
#[derive(Debug, Clone)]
pub(crate) struct HeaderArgument {
    pub(crate) name: http::HeaderName,
    pub(crate) value: http::HeaderValue,
}

impl FromStr for HeaderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("must have the form 'Name: value'")?;
        let name = name.trim().parse().map_err(|_| "must have a valid header name before the colon")?;
        let value = value
            .trim()
            .parse()
            .map_err(|_| format!("{name}: must contain only characters that a header value permits"))?;
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
        if is_text(path) {
            return Err(Failure::input(
                "FILE",
                "must be the name of a file, but is a text; write the text to a file, or use - and standard input",
            ));
        }
        fs::read(path).map_err(|error| Failure::file(path, error))
    }
}

/// Returns an error if no file has the name. It does not show the name, which may be the secret itself.
pub(crate) fn refuse_unknown(what: &str, path: &Path) -> Result<(), Failure> {
    if is_standard_input(path) {
        return Ok(());
    }
    let problem = match path.try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) if is_file_name(path) => format!("must be an existing file, but {} does not exist", path.display()),
        Ok(false) => "must be an existing file (the name is not shown, because it may be the secret itself)".to_owned(),
        Err(error) => format!("must be a file that can be read: {}", error.kind()),
    };
    Err(Failure::input(what, problem))
}

/// Whether the argument of `--secret-env` is certainly a name, and not the secret itself.
fn is_variable_name(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MAX_SHOWN
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.contains('_')
        && text.bytes().all(is_name_byte)
}

/// Whether the path of a missing file is certainly a path, and not the secret itself: it is in an existing directory
/// other than the root, because base64 can start with a slash, or it has a usual extension.
fn is_file_name(path: &Path) -> bool {
    let is_inside = path
        .parent()
        .is_some_and(|parent| !parent.as_os_str().is_empty() && parent.parent().is_some() && parent.is_dir());
    let extension = path.extension().and_then(|extension| extension.to_str());
    is_inside || extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Whether a path is probably a text that was given in place of a file's name.
pub(crate) fn is_text(path: &Path) -> bool {
    let text = path.to_string_lossy();
    // A mistyped name of a file may have these too.
    let is_form = text.contains(['=', '&', '[']) && !text.contains('/') && path.extension().is_none();
    (is_form || text.contains(['{', '<', '"', '\n'])) && !path.exists()
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    String::from_utf8(bytes_of(path)?).map_err(|_| Failure::file(path, "must be UTF-8"))
}

pub(crate) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The parser's message with the line's number. The line itself is not shown, because it may contain a secret.
pub(crate) fn at_line(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => format!("line {}: {}", line_at(text, span.start), error.message()),
        None => error.message().to_owned(),
    }
}

/// The line of the byte at `offset`, from 1.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// The maximum length of a variable's name that is shown.
const MAX_SHOWN: usize = 40;

/// The extensions of files with secrets.
const EXTENSIONS: [&str; 6] = ["txt", "pem", "key", "env", "secret", "toml"];

/// The default source of the secret.
const SECRET_VARIABLE: &str = "HOOKWARDEN_SECRET";
