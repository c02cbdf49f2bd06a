//! Checks of secrets in key files. They refuse lines of other files, and texts that are easy to guess.

use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Secret, WHSEC};

/// Checks and decodes `text` as a secret of `scheme`, or as a private key if the scheme uses public keys.
///
/// The minimum is low on purpose. The shortest secrets that providers issue have 15 characters (Dropbox). The
/// probability that a random text of that length has fewer than 5 different characters is below one in a million.
pub(super) fn secret(text: &str, scheme: &Scheme) -> Result<Secret, ConfigError> {
    if scheme.algorithm().uses_public_keys() {
        return scheme.secret(text);
    }
    if text.lines().any(is_armour) {
        return Err(ConfigError::new("secret", ARMOUR));
    }
    let secret = scheme.secret(text)?;
    let core = text.strip_prefix(WHSEC).unwrap_or(text);
    let mut characters: Vec<char> = core.chars().collect();
    let length = characters.len();
    characters.sort_unstable();
    characters.dedup();
    if length < MIN_CHARACTERS || characters.len() < MIN_DIFFERENT {
        let problem = format!("must have at least {MIN_CHARACTERS} characters, {MIN_DIFFERENT} of them different");
        return Err(ConfigError::new("secret", problem));
    }
    Ok(secret)
}

/// Whether a block in PEM (RFC 7468), OpenPGP or SSH format begins or ends with this line.
fn is_armour(line: &str) -> bool {
    let line = line.trim_start_matches(['\u{feff}', ' ', '\t']);
    let label = line.trim_start_matches('-');
    line.starts_with("----") && ["BEGIN ", "END "].iter().any(|start| label.trim_start().starts_with(start))
}

const ARMOUR: &str =
    "must be a webhook secret; this is a PEM line, so the file holds a key or certificate for another use";
const MIN_CHARACTERS: usize = 12;
const MIN_DIFFERENT: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_line_or_guessable_secret_is_refused() {
        for text in [
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----",
            "-----BEGIN SHARED SECRET-----",
            "---- BEGIN SSH2 PUBLIC KEY ----",
            "  -----BEGIN CERTIFICATE-----",
            "\u{feff}-----BEGIN CERTIFICATE-----",
            "a-good-secret-in-front-of-it\n-----BEGIN CERTIFICATE-----",
        ] {
            assert!(secret(text, &Scheme::timestamped()).unwrap_err().to_string().contains("PEM line"), "{text:?}");
        }
        for text in
            ["changeme", "hunter2", "12345678901", "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab", "whsec_short"]
        {
            let refused = secret(text, &Scheme::timestamped()).unwrap_err().to_string();
            assert!(refused.contains("at least 12 characters, 5 of them different"), "{text:?}: {refused}");
        }
    }

    #[test]
    fn secrets_issued_by_providers_are_accepted() {
        for text in [
            "w1zk2q9f0x7c3bd",                  // Dropbox: 15 letters and digits
            "8f742231b10e8888abcd99yyyzzz85a5", // Slack, Twilio: 32 hex digits
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "vKp0_5AKakO-3qeNVR61Dw", // Zoom: 22 characters
            "-----a-secret-that-someone-typed",
        ] {
            assert!(secret(text, &Scheme::timestamped()).is_ok(), "{text}");
        }
    }
}
