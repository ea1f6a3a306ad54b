use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::panic::resume_unwind;
use std::path::Path;

use orchestrator_core::retrieval::Passage;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::folder::{Folder, warn_about};
use super::list::{self, File};
use super::progress::Progress;
use super::read;
use super::seen::Stamp;
use super::skipped::{SkipReason, SkippedFile};
use crate::error::IndexError;
use crate::index::{Document, Fingerprint, Index};

/// Files that are read at the same time: one is cut while another is waited for.
const AT_ONCE: usize = 2;

/// The text that gathers before it is handed to the index.
const BATCH_BYTES: usize = 1 << 20;

/// What a [sync](Folder::sync) did.
///
/// ```
/// # use stages_rag::SyncReport;
/// assert_eq!(SyncReport::default().to_string(), "0 added, 0 updated, 0 removed, 0 unchanged");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncReport {
    /// Documents that are new in the index.
    pub added: usize,
    /// Documents that stood in it with another content.
    pub updated: usize,
    /// Documents that are no longer in it.
    pub removed: usize,
    /// Documents that were left as they are.
    pub unchanged: usize,
    /// Passages of what was added and updated.
    pub passages: usize,
    /// Files and folders that cannot be used, by path.
    pub skipped: Vec<SkippedFile>,
}

impl SyncReport {
    /// Returns whether the index is another one now.
    #[must_use]
    pub const fn has_changes(&self) -> bool {
        self.added + self.updated + self.removed > 0
    }
}

impl fmt::Display for SyncReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, updated, removed, unchanged, .. } = self;
        write!(f, "{added} added, {updated} updated, {removed} removed, {unchanged} unchanged")?;
        match self.skipped.len() {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

impl Folder {
    /// Makes an index hold what the folder holds: adds what is new, replaces what has changed, removes what is gone.
    ///
    /// The index belongs to the folder: a document in it that is not in the folder is removed, wherever it came from. What
    /// has changed is told by a hash of the file's bytes; a file that looks untouched (its length, the time of its last
    /// change, at least two seconds old, and on Unix which file it is) since this value or a clone of it read it is not read
    /// again.
    ///
    /// Only what is new or has changed is measured by the [`Limits`](crate::Limits), but for
    /// [`file_bytes`](crate::Limits::file_bytes): a file beyond that is not read, so nobody knows whether it has changed, and
    /// it is taken out.
    ///
    /// Everything becomes visible in one commit at the end, also what an earlier sync has put in and not committed. Up to two
    /// files are read and cut at a time, on Tokio's blocking threads, and about a mebibyte of text is gathered before it
    /// is put into the index, so that what a sync holds does not grow with the folder; what an index gathers until the
    /// commit is its own affair.
    ///
    /// A file that cannot be read at this moment (and a folder that cannot be listed) keeps what the index holds of it; one
    /// whose content cannot be used any more is taken out. Both are reported and logged as warnings. A folder without
    /// documents is no error: the index is empty then.
    ///
    /// # Errors
    ///
    /// Fails where the folder does not exist, is not a folder or cannot be listed, in which case the index is left alone,
    /// and where the index does; what was put into it before stays uncommitted, and the next sync goes on from there and
    /// commits it, even where no file has changed since.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime, and where a function that was given to the folder does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the work behind the files that are being read, and commits nothing more.
    pub async fn sync<I: Index>(&self, index: &I) -> Result<SyncReport, IndexError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let (files, skipped) = self.list(&stop).await?;
        let held = index.documents().await?;
        self.seen.retain(|name| files.binary_search_by(|file| file.name.as_str().cmp(name)).is_ok());

        let mut pass = Pass::new(self, index, held, skipped, files.len());
        let mut waiting = files.into_iter();
        let mut reading = VecDeque::with_capacity(AT_ONCE);
        loop {
            while reading.len() < AT_ONCE {
                let Some(file) = waiting.next() else { break };
                let held = pass.held.get(&file.name).copied();
                reading.push_back(self.look(file, held));
            }
            let Some(next) = reading.pop_front() else { break };
            let (file, outcome) = finished(&self.root, next.await)?;
            pass.take(file.name, outcome).await?;
        }
        pass.finish().await
    }

    async fn list(&self, stop: &CancellationToken) -> Result<(Vec<File>, Vec<SkippedFile>), IndexError> {
        let (root, stop) = (self.root.clone(), stop.clone());
        let listed = tokio::task::spawn_blocking(move || {
            let mut skipped = Vec::new();
            let mut files = list::list(&root, &stop, &mut skipped)?;
            // Of two names that are not UTF-8 and look the same, one can be in the index.
            files.dedup_by(|second, first| second.name == first.name);
            Ok((files, skipped))
        });
        finished(&self.root, AbortOnDropHandle::new(listed).await)?
    }

    /// Looks at one file on a blocking thread; `held` is what the index holds of it.
    fn look(&self, file: File, held: Option<Fingerprint>) -> AbortOnDropHandle<(File, Outcome)> {
        let folder = self.clone();
        AbortOnDropHandle::new(tokio::task::spawn_blocking(move || {
            let stamp = Stamp::of(&file);
            let seen = stamp.and_then(|stamp| folder.seen.outcome(&file.name, stamp));
            let outcome = match seen {
                Some(Ok(fingerprint)) if Some(fingerprint) == held => Outcome::Same,
                Some(Err(reason)) => Outcome::Skipped(reason),
                _ => {
                    let (kept, outcome) = folder.read(&file, held);
                    folder.seen.keep(&file.name, stamp, kept);
                    outcome
                }
            };
            (file, outcome)
        }))
    }

    fn read(&self, file: &File, held: Option<Fingerprint>) -> (Result<Fingerprint, SkipReason>, Outcome) {
        let content = match read::read(file, &self.limits, self.describe.as_deref()) {
            Ok(content) => content,
            Err(reason) => return (Err(reason), Outcome::Skipped(reason)),
        };
        let fingerprint = content.fingerprint;
        if Some(fingerprint) == held {
            return (Ok(fingerprint), Outcome::Same);
        }
        match read::passages(file, content, &self.limits) {
            Ok(passages) => (Ok(fingerprint), Outcome::Read(fingerprint, passages)),
            Err(reason) => (Err(reason), Outcome::Skipped(reason)),
        }
    }

    fn tell(&self, progress: &Progress) {
        if let Some(tell) = &self.tell {
            tell(progress);
        }
    }
}

/// What became of a file.
enum Outcome {
    Same,
    Read(Fingerprint, Vec<Passage>),
    Skipped(SkipReason),
}

/// One sync on its way.
struct Pass<'a, I> {
    folder: &'a Folder,
    index: &'a I,
    /// What the index holds of files that have not come up.
    held: BTreeMap<String, Fingerprint>,
    /// Files that cannot be read, and folders that cannot be listed, whose documents stay.
    unreadable: BTreeSet<String>,
    batch: Vec<Document>,
    batch_bytes: usize,
    report: SyncReport,
    progress: Progress,
}

impl<'a, I: Index> Pass<'a, I> {
    fn new(
        folder: &'a Folder,
        index: &'a I,
        held: BTreeMap<String, Fingerprint>,
        skipped: Vec<SkippedFile>,
        total: usize,
    ) -> Self {
        let progress = Progress { done: 0, total, name: String::new(), passages: 0 };
        folder.tell(&progress);
        let unlisted =
            skipped.iter().filter(|skipped| is_unreadable(skipped.reason)).map(|skipped| skipped.path.clone());
        Self {
            folder,
            index,
            held,
            unreadable: unlisted.collect(),
            batch: Vec::new(),
            batch_bytes: 0,
            report: SyncReport { skipped, ..SyncReport::default() },
            progress,
        }
    }

    /// Does what follows from what became of a file.
    async fn take(&mut self, name: String, outcome: Outcome) -> Result<(), IndexError> {
        match outcome {
            Outcome::Same => {
                self.held.remove(&name);
                self.report.unchanged += 1;
            }
            Outcome::Read(fingerprint, passages) => {
                let is_new = self.held.remove(&name).is_none();
                *(if is_new { &mut self.report.added } else { &mut self.report.updated }) += 1;
                self.report.passages += passages.len();
                self.batch_bytes += passages.iter().map(bytes).sum::<usize>();
                self.batch.push(Document::new(name.as_str(), fingerprint, passages));
                self.put_over(BATCH_BYTES).await?;
            }
            // It went away after the folder was listed.
            Outcome::Skipped(SkipReason::Unreadable(ErrorKind::NotFound)) => {}
            Outcome::Skipped(reason) => {
                if is_unreadable(reason) {
                    self.unreadable.insert(name.clone());
                }
                self.report.skipped.push(SkippedFile { path: name.clone(), reason });
            }
        }
        self.progress.done += 1;
        self.progress.name = name;
        self.progress.passages = self.report.passages;
        self.folder.tell(&self.progress);
        Ok(())
    }

    async fn finish(mut self) -> Result<SyncReport, IndexError> {
        self.put_over(0).await?;
        let held = std::mem::take(&mut self.held);
        let (kept, gone): (Vec<_>, Vec<_>) = held.into_keys().partition(|name| self.is_kept(name));
        self.report.unchanged += kept.len();
        self.report.removed += gone.len();
        if !gone.is_empty() {
            self.index.remove(gone).await?;
        }
        // Also where nothing has changed: what an earlier sync has put in may still wait for its commit.
        self.index.commit().await?;
        warn_about(&self.folder.root, &mut self.report.skipped);
        Ok(self.report)
    }

    /// Puts what has gathered into the index if it is more than so many bytes.
    async fn put_over(&mut self, bytes: usize) -> Result<(), IndexError> {
        if self.batch_bytes > bytes {
            self.batch_bytes = 0;
            self.index.put(std::mem::take(&mut self.batch)).await?;
        }
        Ok(())
    }

    /// Returns whether the file, or a folder that it is in, cannot be read.
    fn is_kept(&self, name: &str) -> bool {
        let folders = name.match_indices('/').map(|(end, _)| &name[..end]);
        folders.chain([name]).any(|path| self.unreadable.contains(path))
    }
}

/// What a passage holds, its facts and its source included.
fn bytes(passage: &Passage) -> usize {
    let facts = passage.metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    let headings = passage.source.headings.iter().map(String::len).sum::<usize>();
    passage.text.len() + facts + passage.source.document.len() + headings
}

/// Returns whether it may be otherwise the next time; what is not there is gone.
fn is_unreadable(reason: SkipReason) -> bool {
    matches!(reason, SkipReason::Unreadable(kind) if kind != ErrorKind::NotFound)
}

/// Passes a panic on; a task that was stopped with its runtime is an error.
pub(super) fn finished<T>(root: &Path, ended: Result<T, tokio::task::JoinError>) -> Result<T, IndexError> {
    ended.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(stopped) => IndexError::interrupted(root, Some(stopped.into())),
    })
}
