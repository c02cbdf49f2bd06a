//! A mounted secret: one secret on each line, newest first.

use super::found::Fault;
use super::strength;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, Keyring};

pub(super) fn keyring(content: &[u8], scheme: &Scheme) -> Result<Keyring, Fault> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let before = content.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        Fault::new(Some(before.saturating_add(1)), ConfigError::new("secret", "must be UTF-8"))
    })?;
    // A line break at the end of the file does not start another line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut keyring = Err(Fault::new(None, ConfigError::new("keys", "must be at least one")));
    for (line, text) in (1_usize..).zip(text.split('\n')) {
        let at_line = |problem| Fault::new(Some(line), problem);
        let secret = strength::secret(text.strip_suffix('\r').unwrap_or(text), scheme).map_err(at_line)?;
        let key = Key::new(&format!("line-{line}"), secret).map_err(at_line)?;
        keyring = Ok(Keyring::append_to(keyring.ok(), key).map_err(at_line)?);
    }
    keyring
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Option<usize>> {
        let keyring = keyring(content, &Scheme::timestamped()).map_err(|fault| fault.line)?;
        Ok(keyring.iter().map(|key| (key.id().to_string(), key.material.expose().to_vec())).collect())
    }

    #[test]
    fn lines_are_secrets_newest_first() {
        let expected =
            vec![("line-1".into(), b"the-new # secret".to_vec()), ("line-2".into(), b"the-old-secret".to_vec())];
        for content in [
            "the-new # secret\nthe-old-secret",
            "the-new # secret\nthe-old-secret\n",
            "the-new # secret\r\nthe-old-secret\r\n",
        ] {
            assert_eq!(secrets(content.as_bytes()), Ok(expected.clone()), "{content:?}");
        }
    }

    #[test]
    fn error_names_the_line_of_an_invalid_secret() {
        const GOOD: &str = "a-good-secret";
        let cases: [(String, usize); 9] = [
            (String::new(), 1),
            ("\n".into(), 1),
            (format!("{GOOD}\n\n"), 2),
            (format!("{GOOD}\n\n{GOOD}-2\n"), 2),
            (format!("{GOOD}\n {GOOD}-2\n"), 2),
            (format!("{GOOD}\n{GOOD}\n"), 2),
            (format!("{GOOD}\nshort\n"), 2),
            (format!("{GOOD}\n-----BEGIN PRIVATE KEY-----\n"), 2),
            ((1..10).map(|n| format!("{GOOD}-{n}\n")).collect(), 9),
        ];
        for (content, line) in cases {
            assert_eq!(secrets(content.as_bytes()), Err(Some(line)), "{content:?}");
        }
        assert_eq!(secrets(b"a-good-secret\n\xff\n"), Err(Some(2)));
    }
}
