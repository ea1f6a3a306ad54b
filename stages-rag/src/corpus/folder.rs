use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::Limits;
use super::progress::{Progress, Tell};
use super::read::Describe;
use super::seen::Seen;
use super::skipped::SkippedFile;

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

/// Puts what was skipped in order, and logs it.
pub(super) fn warn_about(root: &Path, skipped: &mut [SkippedFile]) {
    skipped.sort_by(|a, b| a.path.cmp(&b.path));
    for SkippedFile { path, reason } in skipped {
        tracing::warn!(corpus = %root.display(), path, %reason, "skipped while indexing");
    }
}
