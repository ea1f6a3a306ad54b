use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use orchestrator_core::retrieval::Passage;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;
use super::list::{self, give_up_if_stopped};
use super::progress::{Progress, Tell};
use super::read::{self, Describe};
use super::seen::Seen;
use super::skipped::SkippedFile;
use crate::error::IndexError;

/// A folder of documents that an [`Index`](crate::Index) is kept up to date with.
///
/// [`sync`](Self::sync) does it once; with the feature `watch`, `Folder::watch` goes on with it while the folder changes.
///
/// Documents are the `.md` and `.txt` files, with the feature `html` the `.html` and `.htm` files, with the feature `pdf`
/// the `.pdf` files, named by their path relative to the folder, with `/`. Sub-folders are read too; whatever is hidden
/// (its name begins with a dot), `target` and `node_modules` are not, and links to folders are not followed. A file that
/// cannot be used, or is beyond the [`Limits`], does not fail the others: it is reported.
///
/// # Metadata
///
/// Every passage says, for [`Filter`](orchestrator_core::retrieval::Filter)s:
///
/// | key | value |
/// |---|---|
/// | `format` | `markdown`, `text`, `html` or `pdf` |
/// | `folder` | the path of the document's folder below this one; absent at the top |
/// | `title`, `author` | as an HTML page, a PDF or front matter says |
/// | `description`, `keywords`, `language` | as an HTML page says |
/// | any other | the fields of front matter with a value on one line |
///
/// `format` and `folder` win over front matter, and what [`metadata`](Self::metadata) adds wins over both.
///
/// A clone shares what was learned about the files so far.
///
/// # Examples
///
/// ```no_run
/// # use stages_rag::{Folder, Index, IndexError};
/// # async fn example(index: impl Index) -> Result<(), IndexError> {
/// let folder = Folder::new("docs").progress(|p| println!("{}/{} {}", p.done, p.total, p.name));
/// let report = folder.sync(&index).await?;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Folder {
    pub(super) root: Arc<PathBuf>,
    pub(super) limits: Limits,
    pub(super) describe: Option<Arc<Describe>>,
    pub(super) tell: Option<Arc<Tell>>,
    pub(super) seen: Arc<Seen>,
    #[cfg(feature = "watch")]
    pub(super) pace: super::watch::Pace,
}

impl Folder {
    /// Names a folder; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            root: Arc::new(path.into()),
            limits: Limits::default(),
            describe: None,
            tell: None,
            seen: Arc::default(),
            #[cfg(feature = "watch")]
            pace: super::watch::Pace::default(),
        }
    }

    /// Sets how much of one file is read before it is passed over.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        // What was learned under other limits may not hold under these.
        self.seen = Arc::default();
        self.limits = limits;
        self
    }

    /// Adds facts about each document to its passages, by the document's name.
    ///
    /// It is called on a blocking thread, once for each file that is read. A document whose facts have changed counts as
    /// changed when its file is read again; a file that has not been touched since this folder read it is not.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use stages_rag::Folder;
    ///
    /// let folder = Folder::new("docs").metadata(|name| {
    ///     let tenant = name.split('/').next().unwrap_or_default();
    ///     BTreeMap::from([("tenant".to_owned(), tenant.to_owned())])
    /// });
    /// ```
    #[must_use]
    pub fn metadata(mut self, describe: impl Fn(&str) -> BTreeMap<String, String> + Send + Sync + 'static) -> Self {
        self.seen = Arc::default();
        self.describe = Some(Arc::new(describe));
        self
    }

    /// Is told how far each sync has come: before the first file and after each.
    ///
    /// It is called on the task that syncs, and must not block.
    #[must_use]
    pub fn progress(mut self, tell: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.tell = Some(Arc::new(tell));
        self
    }

    /// Returns the path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("path", &self.root).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a folder of documents came to.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) passages: Vec<Passage>,
    pub(crate) skipped: Vec<SkippedFile>,
}

/// Reads and cuts the documents under `root`, in the order of their paths, within the default limits.
///
/// Blocks. Gives up between two files once `stop` is cancelled.
pub(crate) fn read_folder(root: &Path, stop: &CancellationToken) -> Result<Corpus, IndexError> {
    let limits = Limits::default();
    let mut skipped = Vec::new();
    let mut passages = Vec::new();
    for file in list::list(root, stop, &mut skipped)? {
        give_up_if_stopped(root, stop)?;
        let read = read::read(&file, &limits, None).and_then(|content| read::passages(&file, content, &limits));
        match read {
            Ok(more) => passages.extend(more),
            Err(reason) => skipped.push(SkippedFile { path: file.name, reason }),
        }
    }
    warn_about(root, &mut skipped);
    if passages.is_empty() {
        return Err(IndexError::no_documents(root, skipped));
    }
    Ok(Corpus { passages, skipped })
}

/// Puts what was skipped in order, and logs it.
pub(super) fn warn_about(root: &Path, skipped: &mut [SkippedFile]) {
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    for SkippedFile { path, reason } in skipped {
        tracing::warn!(corpus = %root.display(), path, %reason, "skipped while indexing");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
