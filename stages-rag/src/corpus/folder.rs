use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use orchestrator_core::retrieval::{Passage, Source};
use tokio_util::sync::CancellationToken;

use crate::chunk::{self, Format};
use crate::corpus::{SkipReason, SkippedFile};
use crate::error::IndexError;

/// Folders of build output and of other people's code.
const FOREIGN_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// What a folder of documents came to.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) passages: Vec<Passage>,
    pub(crate) skipped: Vec<SkippedFile>,
}

/// Reads and cuts the `.md` and `.txt` files under `root`, in the order of their paths.
///
/// Blocks. Gives up between two files once `stop` is cancelled.
pub(crate) fn read_folder(root: &Path, stop: &CancellationToken) -> Result<Corpus, IndexError> {
    let mut skipped = Vec::new();
    let mut passages = Vec::new();
    for file in list(root, stop, &mut skipped)? {
        give_up_if_stopped(root, stop)?;
        match read_passages(&file) {
            Ok(more) => passages.extend(more),
            Err(reason) => skipped.push(SkippedFile { path: file.name, reason }),
        }
    }
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    for SkippedFile { path, reason } in &skipped {
        tracing::warn!(corpus = %root.display(), path, %reason, "skipped while indexing");
    }
    if passages.is_empty() {
        return Err(IndexError::no_documents(root, skipped));
    }
    Ok(Corpus { passages, skipped })
}

/// A file that may be a document.
struct File {
    path: PathBuf,
    /// The path relative to the corpus, with `/`.
    name: String,
    format: Format,
}

/// Lists the files under `root` that have a format, by name.
///
/// Links to folders are not followed, so there are no loops to run into.
fn list(root: &Path, stop: &CancellationToken, skipped: &mut Vec<SkippedFile>) -> Result<Vec<File>, IndexError> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let entries = fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut open = vec![(String::new(), entries.map_err(|e| IndexError::folder(root, e))?)];
    while let Some((prefix, entries)) = open.pop() {
        give_up_if_stopped(root, stop)?;
        for entry in entries {
            let file_name = entry.file_name();
            let file_name = file_name.to_string_lossy();
            if file_name.starts_with('.') || FOREIGN_FOLDERS.contains(&&*file_name) {
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

fn read_passages(file: &File) -> Result<Vec<Passage>, SkipReason> {
    let bytes = fs::read(&file.path).map_err(|e| unreadable(&e))?;
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    let text = String::from_utf8(bytes).map_err(|_| SkipReason::NotUtf8)?;
    let chunks = chunk::cut(file.format, &text);
    if chunks.is_empty() {
        return Err(SkipReason::NoText);
    }
    let passage = |chunk: chunk::Chunk<'_>| {
        let (first, last) = chunk.lines;
        let source = Source::new(file.name.as_str()).headings(chunk.headings).lines(first, last);
        Passage::new(chunk.text, source, 0.0)
    };
    Ok(chunks.into_iter().map(passage).collect())
}

fn give_up_if_stopped(root: &Path, stop: &CancellationToken) -> Result<(), IndexError> {
    if stop.is_cancelled() { Err(IndexError::interrupted(root, None)) } else { Ok(()) }
}

fn unreadable(error: &io::Error) -> SkipReason {
    SkipReason::Unreadable(error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::IndexErrorKind;

    #[test]
    fn reading_stops_when_nobody_waits_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.md"), "text").expect("written");
        let stop = CancellationToken::new();
        assert!(read_folder(folder.path(), &stop).is_ok());
        stop.cancel();
        let error = read_folder(folder.path(), &stop).expect_err("nobody waits");
        assert_eq!(error.kind(), IndexErrorKind::Interrupted);
    }

    #[test]
    fn what_is_skipped_is_warned_about() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.md"), "text").expect("written");
        fs::write(folder.path().join("logo.txt"), b"\0").expect("written");
        let log = folder.path().join("log");
        let writer = std::sync::Arc::new(fs::File::create(&log).expect("a log"));
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || read_folder(folder.path(), &CancellationToken::new()))
            .expect("a corpus");
        let log = fs::read_to_string(log).expect("a log");
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("WARN") && log.contains("path=\"logo.txt\" reason=binary"), "{log}");
    }
}
