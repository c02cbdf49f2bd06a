//! The senders in the files, and the faults of all other entries.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use super::found::{Fault, FoundSender, Place};
use super::{KeyFileError, document, mounted};
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::Keyring;

/// A file and its content.
pub(super) struct File<'f> {
    /// `None` for the TOML file.
    pub(super) id: Option<&'f str>,
    /// The path to show in messages.
    pub(super) path: &'f Path,
    pub(super) content: Result<&'f [u8], &'f KeyFileError>,
}

/// The keys of each sender with a valid entry, and the faults of the other entries.
pub(super) struct Entries {
    pub(super) senders: Vec<(String, Keyring)>,
    pub(super) faults: Vec<KeyFileError>,
}

impl Entries {
    /// Reads the entries of the files at `path`.
    ///
    /// # Errors
    /// The files have no recognizable entry. A faulty entry is not an error.
    pub(super) fn of(
        path: &Path,
        files: &[File<'_>],
        scheme: &Scheme,
        shared_secrets: bool,
    ) -> Result<Self, KeyFileError> {
        let mut found = Found { files, senders: Vec::new(), faults: Vec::new() };
        for (index, file) in files.iter().enumerate() {
            found.read(index, file, scheme)?;
        }
        found.disable_repeated_ids();
        found.drop_faulty();
        if !shared_secrets {
            found.disable_shared_secrets();
            found.drop_faulty();
        }
        let Found { senders, faults, .. } = found;
        if senders.is_empty() && faults.iter().all(|fault| fault.webhook_id().is_none()) {
            let none = || KeyFileError::new(path, None, ConfigError::new("senders", "must be at least one"));
            return Err(faults.into_iter().next().map_or_else(none, KeyFileError::of_all));
        }
        Ok(Self { senders: senders.into_iter().map(|sender| (sender.id, sender.keys)).collect(), faults })
    }
}

struct Found<'f> {
    files: &'f [File<'f>],
    senders: Vec<FoundSender>,
    faults: Vec<KeyFileError>,
}

impl Found<'_> {
    fn read(&mut self, index: usize, file: &File<'_>, scheme: &Scheme) -> Result<(), KeyFileError> {
        let content = match file.content {
            Ok(content) => content,
            Err(error) => {
                self.faults.push(error.clone());
                return Ok(());
            }
        };
        match file.id {
            Some(id) => match mounted::keyring(content, scheme) {
                Ok(keys) => {
                    self.senders.push(FoundSender { place: Place { file: index, line: None }, id: id.into(), keys });
                }
                Err(fault) => self.fault(index, Fault { id: Some(id.into()), ..fault }),
            },
            None => {
                let whole = |fault: Fault| KeyFileError::new(file.path, fault.line, fault.problem);
                let (senders, faults) = document::senders(content, scheme).map_err(|fault| {
                    let hint = hint(file.path).filter(|_| fault.line == Some(1));
                    whole(hint.map_or(fault, |problem| Fault::new(Some(1), problem)))
                })?;
                if senders.is_empty()
                    && faults.iter().all(|fault| fault.id.is_none())
                    && let Some(problem) = hint(file.path)
                {
                    return Err(whole(Fault::new(faults.first().and_then(|fault| fault.line), problem)));
                }
                self.senders.extend(senders);
                faults.into_iter().for_each(|fault| self.fault(index, fault));
            }
        }
        Ok(())
    }

    fn fault(&mut self, file: usize, fault: Fault) {
        let path = self.files.get(file).map(|file| file.path).unwrap_or(Path::new(""));
        self.faults.push(KeyFileError::new(path, fault.line, fault.problem).of_entry(fault.id));
    }

    fn fault_of(&mut self, index: usize, problem: ConfigError) {
        if let Some(FoundSender { place, id, .. }) = self.senders.get(index) {
            let (place, id) = (*place, id.clone());
            self.fault(place.file, Fault { id: Some(id), line: place.line, problem });
        }
    }

    /// Disables webhook ids with two entries, because it is unknown which entry is right.
    fn disable_repeated_ids(&mut self) {
        let mut seen = HashSet::new();
        let repeated = self.senders.iter().enumerate().filter(|(_, sender)| !seen.insert(&sender.id));
        let repeated: Vec<_> = repeated.map(|(index, sender)| (index, sender.id.clone())).collect();
        for (index, id) in repeated {
            self.fault_of(
                index,
                ConfigError::new("senders", format!("must have different webhook ids: two have {id:?}")),
            );
        }
    }

    /// Disables webhook ids that share a secret: a message that is signed for one would be valid for the other, and it
    /// is unknown which of them has the secret by mistake.
    fn disable_shared_secrets(&mut self) {
        let hasher = RandomState::new();
        let mut owners: HashMap<u64, usize> = HashMap::new();
        let mut problems: HashMap<usize, String> = HashMap::new();
        for (index, sender) in self.senders.iter().enumerate() {
            for key in sender.keys.iter() {
                let owner = *owners.entry(hasher.hash_one(key.material.without_padding())).or_insert(index);
                if let Some(other) = self.senders.get(owner).filter(|_| owner != index) {
                    let problem =
                        format!("must not share a secret or public key, as {:?} and {:?} do", other.id, sender.id);
                    problems.entry(owner).or_insert_with(|| problem.clone());
                    problems.entry(index).or_insert(problem);
                }
            }
        }
        let mut problems: Vec<_> = problems.into_iter().collect();
        problems.sort_unstable();
        for (index, problem) in problems {
            self.fault_of(index, ConfigError::new("senders", problem));
        }
    }

    /// Removes the keys of webhook ids with a fault in any of their entries.
    fn drop_faulty(&mut self) {
        let faulty: HashSet<_> = self.faults.iter().filter_map(KeyFileError::webhook_id).collect();
        self.senders.retain(|sender| !faulty.contains(&*sender.id));
    }
}

/// Returns a hint for a file whose name does not end in `.toml`: it may be a mounted secret.
fn hint(path: &Path) -> Option<ConfigError> {
    if path.extension().is_some_and(|end| end == "toml") {
        return None;
    }
    let name = path.file_name()?.to_string_lossy();
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = format!(
        "must be TOML with [[sender]] tables; if it is a mounted secret, whose lines are secrets, load it with \
         FileKeys::builder({directory:?}).file(\"the-webhook-id\", {name:?})"
    );
    Some(ConfigError::new("file", problem))
}
