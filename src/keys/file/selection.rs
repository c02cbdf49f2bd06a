//! The selection of secret files in a directory, and their webhook ids.

use std::path::{Path, PathBuf};

use crate::error::ConfigError;

/// A path, and the files to load if it is a directory.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) path: PathBuf,
    /// Webhook ids and the names of their files.
    pub(super) named: Vec<(String, String)>,
    pub(super) pattern: Option<String>,
}

impl Selection {
    /// Whether the application chose the files.
    pub(super) const fn is_explicit(&self) -> bool {
        !self.named.is_empty() || self.pattern.is_some()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (id, name) in &self.named {
            if id.is_empty() {
                return Err(ConfigError::new("file", "must have a webhook id that is not empty"));
            }
            if Path::new(name).file_name().is_none_or(|plain| *plain != **name) {
                return Err(ConfigError::new("file", format!("must be the name of a file in the directory: {name:?}")));
            }
        }
        match &self.pattern {
            Some(pattern) if pattern.matches('*').count() != 1 || pattern.contains(['/', '\\']) => {
                Err(ConfigError::new("pattern", format!("must be a file name with one *: {pattern:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the webhook id of the file `name` by the pattern: the text that the `*` matches. `None` for a file that
    /// is selected by name, which has its webhook id already.
    pub(super) fn matched<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.named.iter().any(|(_, named)| named == name) {
            return None;
        }
        let pattern = match &self.pattern {
            Some(pattern) => pattern,
            None if self.named.is_empty() => "*",
            None => return None,
        };
        let (prefix, suffix) = pattern.split_once('*')?;
        name.strip_prefix(prefix)?.strip_suffix(suffix).filter(|id| !id.is_empty())
    }
}

/// Whether editors or package managers give such a name to the copy of a file. A copy may contain a secret that was
/// replaced.
pub(super) fn is_backup(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with('~')
        || (name.starts_with('#') && name.ends_with('#'))
        || BACKUP_ENDS.iter().any(|end| name.ends_with(end))
        || BACKUP_MARKS.iter().any(|mark| name.contains(mark))
}

const BACKUP_ENDS: [&str; 11] =
    [".bak", ".backup", ".old", ".orig", ".save", ".tmp", ".swp", ".swo", ".rpmnew", ".rpmsave", ".rpmorig"];
/// In the name of a backup copy another word follows these, such as `.dpkg-old`.
const BACKUP_MARKS: [&str; 2] = [".dpkg-", ".ucf-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(named: &[(&str, &str)], pattern: Option<&str>) -> Selection {
        let named = named.iter().map(|(id, name)| ((*id).into(), (*name).into())).collect();
        Selection { path: "secrets".into(), named, pattern: pattern.map(Into::into) }
    }

    #[test]
    fn webhook_id_is_the_text_matching_the_star() {
        for (pattern, name, id) in [
            ("*", "acme", Some("acme")),
            ("webhook-*", "webhook-acme", Some("acme")),
            ("webhook-*", "tls.key", None),
            ("webhook-*", "webhook-", None),
            ("*.secret", "acme.secret", Some("acme")),
            ("ab*ba", "aba", None),
        ] {
            assert_eq!(selection(&[], Some(pattern)).matched(name), id, "{pattern} {name}");
        }
        assert_eq!(selection(&[], None).matched("acme"), Some("acme"));
        assert_eq!(selection(&[("acme", "a")], None).matched("b"), None);
        assert_eq!(["a", "b"].map(|name| selection(&[("acme", "a")], Some("*")).matched(name)), [None, Some("b")]);
    }

    #[test]
    fn selection_outside_the_directory_is_refused() {
        for name in ["", ".", "..", "../a", "a/b", "/a", "a/"] {
            assert_eq!(selection(&[("acme", name)], None).check().unwrap_err().field(), "file", "{name:?}");
        }
        assert_eq!(selection(&[("", "a")], None).check().unwrap_err().field(), "file");
        for pattern in ["", "a", "**", "../*", "a/*"] {
            assert_eq!(selection(&[], Some(pattern)).check().unwrap_err().field(), "pattern", "{pattern:?}");
        }
        assert!(selection(&[("acme", "a.bak")], Some("webhook-*")).check().is_ok());
    }

    #[test]
    fn backup_copies_are_recognized_by_name() {
        for name in ["a~", "a.bak", "a.BAK", "a.old", "a.orig", "a.tmp", "a.swp", "a.dpkg-old", "a.dpkg-dist", "#a#"] {
            assert!(is_backup(name), "{name}");
        }
        for name in ["acme", "bak", "a.b", "threshold", "#a", "a.tmpl"] {
            assert!(!is_backup(name), "{name}");
        }
    }
}
