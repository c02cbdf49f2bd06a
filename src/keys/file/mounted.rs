//! A mounted secret: one secret on each line, newest first.

use super::found::Fault;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, Keyring};

pub(super) fn keyring(content: &[u8], scheme: &Scheme) -> Result<Keyring, Fault> {
    let whole_file = |problem| Fault { line: None, problem };
    let text = std::str::from_utf8(content).map_err(|_| whole_file(ConfigError::new("secret", "is not UTF-8")))?;
    // A line break that ends the file is not the beginning of one more line.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let lines = (1_usize..).zip(text.split('\n'));
    let keys = lines.map(|(line, text)| {
        let secret = scheme.secret(text.strip_suffix('\r').unwrap_or(text));
        secret
            .and_then(|secret| Key::new(&format!("line-{line}"), secret))
            .map_err(|problem| Fault { line: Some(line), problem })
    });
    Keyring::from_keys(keys.collect::<Result<Vec<_>, _>>()?).map_err(whole_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(content: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Option<usize>> {
        let keyring = keyring(content, &Scheme::timestamped()).map_err(|fault| fault.line)?;
        Ok(keyring.iter().map(|key| (key.id().to_string(), key.secret.expose().to_vec())).collect())
    }

    #[test]
    fn lines_are_secrets_newest_first() {
        let expected = vec![("line-1".into(), b"new # secret".to_vec()), ("line-2".into(), b"old".to_vec())];
        for content in ["new # secret\nold", "new # secret\nold\n", "new # secret\r\nold\r\n"] {
            assert_eq!(secrets(content.as_bytes()), Ok(expected.clone()), "{content:?}");
        }
    }

    #[test]
    fn line_that_is_no_secret_is_named() {
        let cases: [(&[u8], Option<usize>); 8] = [
            (b"", Some(1)),
            (b"\n", Some(1)),
            (b"one\n\n", Some(2)),
            (b"one\n\ntwo\n", Some(2)),
            (b"one\n two\n", Some(2)),
            (b"one\none\n", None),
            (b"one\n\xff\n", None),
            (b"1\n2\n3\n4\n5\n6\n7\n8\n9\n", None),
        ];
        for (content, line) in cases {
            assert_eq!(secrets(content), Err(line), "{content:?}");
        }
    }
}
