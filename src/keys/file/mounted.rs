//! A mounted secret: one secret on each line, newest first. A scheme with public keys has a key on each line or as a
//! block of PEM.

use super::found::Fault;
use super::strength;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, KeyMaterial, Keyring, PEM};

pub(super) fn keyring(content: &[u8], scheme: &Scheme) -> Result<Keyring, Fault> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let before = content.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count();
        let problem = if scheme.algorithm().uses_public_keys() {
            ConfigError::new("public_key", "must be text: PEM, or DER in base64")
        } else {
            ConfigError::new("secret", "must be UTF-8")
        };
        Fault::new(Some(before.saturating_add(1)), problem)
    })?;
    // A line break at the end of the file does not start another line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut keyring = Err(Fault::new(None, ConfigError::new("keys", "must be at least one")));
    for (line, text) in entries(text, scheme.algorithm().uses_public_keys()) {
        let at_line = |problem| Fault::new(Some(line), problem);
        let material = material(text.strip_suffix('\r').unwrap_or(text), scheme).map_err(at_line)?;
        let key = Key::new(&format!("line-{line}"), material).map_err(at_line)?;
        keyring = Ok(Keyring::append_to(keyring.ok(), key).map_err(at_line)?);
    }
    keyring
}

/// Reads a line or a block. It has no field that says whether a key is public, so its text decides.
fn material(text: &str, scheme: &Scheme) -> Result<KeyMaterial, ConfigError> {
    if scheme.algorithm().uses_public_keys() {
        scheme.key_material(text)
    } else {
        strength::secret(text, scheme).map(Into::into)
    }
}

/// Returns each line of the text, or each block of PEM if the text can have them, with the number of its first line.
fn entries(text: &str, has_blocks: bool) -> Vec<(usize, &str)> {
    let (mut entries, mut rest, mut line) = (Vec::new(), Some(text), 1_usize);
    while let Some(text) = rest {
        let is_block = has_blocks && text.starts_with(PEM);
        let end = if is_block { text.find("\n-----END ") } else { None };
        let from = end.map_or(0, |end| end.saturating_add(1));
        let length = text.bytes().skip(from).position(|byte| byte == b'\n').map(|length| from.saturating_add(length));
        let (entry, after) = match length.and_then(|length| text.split_at_checked(length)) {
            Some((entry, after)) => (entry, after.get(1..)),
            None => (text, None),
        };
        entries.push((line, entry));
        line = line.saturating_add(1).saturating_add(entry.matches('\n').count());
        rest = after;
    }
    entries
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
