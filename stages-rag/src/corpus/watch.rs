use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::folder::Folder;
use super::list::is_left_out;
use super::sync::{SyncReport, finished};
use crate::error::IndexError;
use crate::index::Index;

/// Reports that nobody has asked for; when there are more, the oldest go.
const KEPT: usize = 16;

/// When a sync that failed is tried again, where nothing changes before.
const RETRY: Duration = Duration::from_secs(10);

/// How often a folder is looked at of which nothing is heard: the system does not tell of all that happens to it.
const LOOK: Duration = Duration::from_secs(60);

/// Longer than anybody waits.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How a watch waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    quiet: Duration,
    at_latest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(500), at_latest: Duration::from_secs(5) }
    }
}

impl Folder {
    /// Sets how long the folder must be quiet before a [watch](Self::watch) syncs, and after what time it does in any case;
    /// half a second and five seconds unless set.
    #[must_use]
    pub const fn debounce(mut self, quiet: Duration, at_latest: Duration) -> Self {
        self.pace = Pace { quiet, at_latest };
        self
    }

    /// Syncs an index with the folder, and again whenever the folder changes.
    ///
    /// Each time it is a whole [`sync`](Self::sync), which looks at every file's length and time but reads only those that
    /// were touched: so a renamed folder, or changes that the system lost count of, need no case of their own. Changes to
    /// what is left out by its name start none, but for names that begin with two dots, behind which Kubernetes switches
    /// what is mounted. Those behind a link are seen with the next, and at the latest after a minute: a sync is due then,
    /// whatever the system says.
    ///
    /// A folder that is removed and comes again, or whose link is made to lead elsewhere, is watched where it is now.
    ///
    /// A sync that fails is reported, and tried again with the next change, or after ten seconds.
    ///
    /// # Errors
    ///
    /// Fails where the first sync does, and where the system cannot watch the folder (on Linux, when the user's inotify
    /// watches are used up).
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime, and without a timer in it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is dropping the watch.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use stages_rag::{Folder, Index, IndexError};
    /// # async fn example(index: impl Index + Clone) -> Result<(), IndexError> {
    /// let mut watch = Folder::new("docs").watch(index.clone()).await?;
    /// while let Some(synced) = watch.next().await {
    ///     match synced {
    ///         Ok(report) => println!("{report}"),
    ///         Err(error) => eprintln!("failed to sync the documents: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn watch<I: Index>(&self, index: I) -> Result<Watch, IndexError> {
        let changed = Arc::new(Notify::new());
        // Before the first sync, so that no change falls between the two.
        let watcher = self.watcher(&changed).await?;
        let first = self.sync(&index).await?;
        let reports = Arc::new(Reports::default());
        reports.push(Ok(first));
        let follow = follow(self.clone(), index, watcher, changed, reports.clone());
        Ok(Watch { reports, _task: AbortOnDropHandle::new(tokio::spawn(follow)) })
    }

    async fn watcher(&self, changed: &Arc<Notify>) -> Result<Watching, IndexError> {
        let (root, changed) = (self.root.clone(), changed.clone());
        let started = tokio::task::spawn_blocking(move || {
            let place = Place::of(&root).map_err(|e| IndexError::folder(&root, e))?;
            let (within, gone) = (place.real.clone(), Arc::new(AtomicBool::new(false)));
            let is_gone = gone.clone();
            let tell = move |event: notify::Result<Event>| {
                if event.as_ref().is_ok_and(|event| takes_away(event, &within)) {
                    is_gone.store(true, Ordering::Relaxed);
                }
                // An error may hide a change.
                if event.map_or(true, |event| counts(&event, &within)) {
                    changed.notify_one();
                }
            };
            let unwatchable = |error: notify::Error| IndexError::unwatchable(&root, error.into());
            let config = Config::default().with_follow_symlinks(false);
            let mut watcher = RecommendedWatcher::new(tell, config).map_err(unwatchable)?;
            watcher.watch(&place.real, RecursiveMode::Recursive).map_err(unwatchable)?;
            Ok(Watching { place, gone, _watcher: watcher })
        });
        finished(&self.root, AbortOnDropHandle::new(started).await)?
    }

    /// Watches another folder where the root is another one now.
    async fn keep_watched(&self, watching: &mut Watching, changed: &Arc<Notify>) -> Result<(), IndexError> {
        let root = self.root.clone();
        let place = finished(&self.root, tokio::task::spawn_blocking(move || Place::of(&root)).await)?;
        let place = place.map_err(|e| IndexError::folder(&self.root, e))?;
        if place != watching.place || watching.gone.load(Ordering::Relaxed) {
            *watching = self.watcher(changed).await?;
        }
        Ok(())
    }
}

/// A folder that is watched.
struct Watching {
    place: Place,
    /// The system said that it went away: a new folder may have its number.
    gone: Arc<AtomicBool>,
    _watcher: RecommendedWatcher,
}

/// What tells a folder from another one at the same path.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// Some systems name what has changed by its real path.
    real: PathBuf,
    created: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64),
}

impl Place {
    fn of(root: &Path) -> io::Result<Self> {
        let real = root.canonicalize()?;
        let metadata = fs::metadata(&real)?;
        Ok(Self {
            real,
            created: metadata.created().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
        })
    }
}

/// Returns whether an event says that the root itself was removed or renamed.
fn takes_away(event: &Event, root: &Path) -> bool {
    let removes = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    removes && event.paths.iter().any(|path| path == root)
}

/// Returns whether an event may change what the index should hold.
fn counts(event: &Event, root: &Path) -> bool {
    let is_change = match event.kind {
        // Our own reading opens and closes files.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    };
    let left_out = |path: &Path| {
        let below = path.strip_prefix(root).unwrap_or(Path::new(""));
        let is_switch = |name: &str| name.starts_with("..");
        below.iter().map(|name| name.to_string_lossy()).any(|name| is_left_out(&name) && !is_switch(&name))
    };
    // An event without a path says that others were lost.
    is_change && (event.paths.is_empty() || !event.paths.iter().all(|path| left_out(path)))
}

/// Syncs after each burst of changes, for ever.
async fn follow<I: Index>(
    folder: Folder,
    index: I,
    mut watching: Watching,
    changed: Arc<Notify>,
    reports: Arc<Reports>,
) {
    let _closed = Closed(reports.clone());
    let mut failed = false;
    loop {
        let look = if failed { RETRY } else { LOOK };
        if timeout(look, changed.notified()).await.is_ok() {
            let at_latest = after(folder.pace.at_latest);
            let again = |until| timeout_at(until, changed.notified());
            while again(at_latest.min(after(folder.pace.quiet))).await.is_ok() {}
        }
        // Before the sync, so that no change falls between the two.
        let watched = folder.keep_watched(&mut watching, &changed).await;
        let synced = folder.sync(&index).await;
        failed = synced.is_err() || watched.is_err();
        // What keeps it from being read keeps it from being watched: once is enough.
        let unwatched = watched.err().filter(|_| synced.is_ok());
        // Nobody needs to hear of a burst that came to nothing, such as a file that was saved as it was.
        if synced.as_ref().map_or(true, |report| report.has_changes() || reports.is_news(report)) {
            reports.push(synced);
        }
        if let Some(error) = unwatched {
            reports.push(Err(error));
        }
    }
}

/// The end of a time from now on; one that the clock does not reach never comes.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + FAR)
}

/// An index that follows its folder; dropping it ends that.
///
/// A sync that is on its way then ends behind the files that it is reading, and commits nothing.
pub struct Watch {
    reports: Arc<Reports>,
    _task: AbortOnDropHandle<()>,
}

impl Watch {
    /// Waits for the next sync that changed the index, or what was skipped, or that failed; the first is there at once.
    ///
    /// Up to sixteen are kept until they are asked for, then the oldest go: nobody has to ask. `None` when the runtime has
    /// stopped, or when a function that was given to the folder has panicked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<SyncReport, IndexError>> {
        self.reports.next().await
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Reports on their way to the one who asks for them.
#[derive(Default)]
struct Reports {
    state: Mutex<State>,
    more: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Result<SyncReport, IndexError>>,
    /// What the last report skipped.
    skipped: Vec<super::SkippedFile>,
    is_closed: bool,
}

impl Reports {
    fn push(&self, report: Result<SyncReport, IndexError>) {
        let mut state = self.state.lock().expect("nothing panics under it");
        if let Ok(report) = &report {
            state.skipped.clone_from(&report.skipped);
        }
        if state.waiting.len() == KEPT {
            state.waiting.pop_front();
        }
        state.waiting.push_back(report);
        drop(state);
        self.more.notify_one();
    }

    fn is_news(&self, report: &SyncReport) -> bool {
        self.state.lock().expect("nothing panics under it").skipped != report.skipped
    }

    async fn next(&self) -> Option<Result<SyncReport, IndexError>> {
        loop {
            {
                let mut state = self.state.lock().expect("nothing panics under it");
                if let Some(report) = state.waiting.pop_front() {
                    return Some(report);
                }
                if state.is_closed {
                    return None;
                }
            }
            // One who comes after the push finds its permit; there is only one who asks.
            self.more.notified().await;
        }
    }
}

/// Tells, when the task ends in whatever way, that no report will follow.
struct Closed(Arc<Reports>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.state.lock().expect("nothing panics under it").is_closed = true;
        self.0.more.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, Flag};

    #[test]
    fn what_cannot_change_the_index_starts_no_sync() {
        let root = Path::new("/docs");
        let event = |kind, paths: &[&str]| {
            paths.iter().fold(Event::new(kind), |event, path| event.add_path(Path::new("/docs").join(path)))
        };
        let create = EventKind::Create(CreateKind::Any);
        assert!(counts(&event(create, &["a.md"]), root));
        assert!(counts(&event(create, &["sub/.hidden", "sub/a.md"]), root));
        assert!(counts(&event(create, &["/elsewhere/.git/a"]), root));
        assert!(counts(&event(EventKind::Access(AccessKind::Close(AccessMode::Write)), &["a.md"]), root));
        assert!(counts(&Event::new(EventKind::Other).set_flag(Flag::Rescan), root));
        // Mounted files are switched by a link of this name.
        assert!(counts(&event(create, &["..data"]), root));
        assert!(!counts(&event(create, &[".git/index", "sub/target/x"]), root));
        assert!(!counts(&event(EventKind::Access(AccessKind::Open(AccessMode::Read)), &["a.md"]), root));
    }
}
