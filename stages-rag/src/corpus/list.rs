use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{SkipReason, SkippedFile};
use crate::chunk::Format;
use crate::error::IndexError;

/// Folders of build output and of other people's code.
const FOREIGN_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// A file that may be a document.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// The path relative to the corpus, with `/`.
    pub(super) name: String,
    pub(super) format: Format,
}

/// Returns whether an entry of this name is left out without a word.
pub(super) fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || FOREIGN_FOLDERS.contains(&name)
}

/// Lists the files under `root` that have a format, by name, and adds what cannot be used to `skipped`.
///
/// Blocks. Links to folders are not followed, so there are no loops to run into. Gives up between two folders once
/// `stop` is cancelled.
pub(super) fn list(
    root: &Path,
    stop: &CancellationToken,
    skipped: &mut Vec<SkippedFile>,
) -> Result<Vec<File>, IndexError> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let entries = fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut open = vec![(String::new(), entries.map_err(|e| IndexError::folder(root, e))?)];
    while let Some((prefix, entries)) = open.pop() {
        give_up_if_stopped(root, stop)?;
        for entry in entries {
            let file_name = entry.file_name();
            let file_name = file_name.to_string_lossy();
            if is_left_out(&file_name) {
                continue;
            }
            let name = format!("{prefix}{file_name}");
            match classify(&entry) {
                Ok(Entry::Folder) => folders.push((name, entry.path())),
                Ok(Entry::Document(format)) => files.push(File { path: entry.path(), name, format }),
                Ok(Entry::Other) => {}
                Err(reason) => skipped.push(SkippedFile { path: name, reason }),
            }
        }
        for (name, path) in folders.drain(..) {
            match fs::read_dir(path).and_then(Iterator::collect) {
                Ok(entries) => open.push((format!("{name}/"), entries)),
                Err(error) => skipped.push(SkippedFile { path: name, reason: unreadable(&error) }),
            }
        }
    }
    // Two names that are not UTF-8 may look the same; their paths differ.
    files.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Ok(files)
}

enum Entry {
    Folder,
    Document(Format),
    /// A file of another type.
    Other,
}

fn classify(entry: &fs::DirEntry) -> Result<Entry, SkipReason> {
    let path = entry.path();
    let file_type = entry.file_type().map_err(|e| unreadable(&e))?;
    if file_type.is_dir() {
        return Ok(Entry::Folder);
    }
    let format = Format::of(&path);
    if file_type.is_symlink() {
        // Through the link: documents mounted as links, as Kubernetes does it, are documents.
        return match (fs::metadata(&path), format) {
            (Ok(target), Some(format)) if target.is_file() => Ok(Entry::Document(format)),
            (Ok(target), _) if target.is_dir() => Err(SkipReason::NotAFile),
            (Ok(_), Some(_)) => Err(SkipReason::NotAFile),
            (Err(error), Some(_)) => Err(unreadable(&error)),
            (_, None) => Ok(Entry::Other),
        };
    }
    match format {
        // Reading a pipe would wait for its writer.
        Some(_) if !file_type.is_file() => Err(SkipReason::NotAFile),
        Some(format) => Ok(Entry::Document(format)),
        None => Ok(Entry::Other),
    }
}

fn give_up_if_stopped(root: &Path, stop: &CancellationToken) -> Result<(), IndexError> {
    if stop.is_cancelled() { Err(IndexError::interrupted(root, None)) } else { Ok(()) }
}

pub(super) fn unreadable(error: &io::Error) -> SkipReason {
    SkipReason::Unreadable(error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::IndexErrorKind;

    #[test]
    fn listing_stops_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.md"), "text").expect("written");
        let stop = CancellationToken::new();
        assert_eq!(list(folder.path(), &stop, &mut Vec::new()).expect("listed").len(), 1);
        stop.cancel();
        let error = list(folder.path(), &stop, &mut Vec::new()).expect_err("nobody waits");
        assert_eq!(error.kind(), IndexErrorKind::Interrupted);
    }
}
