//! Reads secrets of files as the library's `FileKeys` does.

use std::path::Path;
use std::sync::mpsc;

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, FileKeysBuilder, KeyFileError};
use zeroize::Zeroizing;

use super::entries::{self, Entry, Reading};
use crate::failure::Failure;
use crate::input::{is_standard_input, refuse_unknown, text_of};
use crate::private_file::directory_of;

/// The secrets of files, and the errors of the library.
pub(super) struct Loaded {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<KeyFileError>,
}

/// Reads the file or the directory at `path`.
pub(super) fn load(path: &Path, reading: Reading, scheme: &Scheme) -> Result<Loaded, Failure> {
    if path.is_dir() {
        return directory(path, scheme);
    }
    refuse_unknown("FILE", path)?;
    let text = Zeroizing::new(text_of(path)?);
    let reading = reading.of(path, &text);
    let faults = match reading {
        Reading::Keys => FileKeys::builder(path).check(scheme, &text).err().unwrap_or_default(),
        Reading::Secret if !is_standard_input(path) => {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Failure::file(path, "must have a UTF-8 name"));
            };
            open(FileKeys::builder(directory_of(path)).file(name, name), scheme).faults
        }
        _ => Vec::new(),
    };
    match entries::read(path, &text, reading) {
        // The library reports the error.
        Err(_) if !faults.is_empty() => Ok(Loaded { entries: Vec::new(), faults }),
        entries => Ok(Loaded { entries: entries?, faults }),
    }
}

fn directory(path: &Path, scheme: &Scheme) -> Result<Loaded, Failure> {
    let Opened { ids, faults, .. } = open(FileKeys::builder(path), scheme);
    let mut entries = Vec::new();
    for id in ids {
        let text = Zeroizing::new(text_of(&path.join(&id))?);
        entries.extend(entries::lines(&text).map(|entry| Entry {
            name: format!("{} of {id}", entry.name),
            // The report is about the directory, so it has no line.
            line: None,
            text: entry.text,
        }));
    }
    Ok(Loaded { entries, faults })
}

/// The library's result for files.
pub(crate) struct Opened {
    /// The loaded webhook ids.
    pub(crate) ids: Vec<String>,
    /// All errors, even if nothing is loaded.
    pub(crate) faults: Vec<KeyFileError>,
    pub(crate) warnings: Vec<String>,
}

/// Loads the files.
pub(crate) fn open(builder: FileKeysBuilder, scheme: &Scheme) -> Opened {
    let (sender, reported) = mpsc::channel();
    let opened = builder.on_error(move |fault| drop(sender.send(fault.clone()))).open(scheme);
    match opened {
        Ok(keys) => Opened { ids: keys.webhook_ids(), faults: keys.faults(), warnings: keys.warnings() },
        Err(error) => {
            let faults: Vec<_> = reported.try_iter().collect();
            let faults = if faults.is_empty() { vec![error] } else { faults };
            Opened { ids: Vec::new(), faults, warnings: Vec::new() }
        }
    }
}
