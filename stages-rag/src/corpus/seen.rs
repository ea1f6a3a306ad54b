use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::list::File;
use super::skipped::SkipReason;
use crate::index::Fingerprint;

/// How old a change must be before its time tells it from the next one: file systems count in steps of up to 2 s.
const SETTLED: Duration = Duration::from_secs(2);

/// What became of the files when they were read last, so that those that have not been touched since are not read again.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    outcome: Result<Fingerprint, SkipReason>,
}

/// A file's length and the time of its last change; on Unix also which file it is, and when anything about it changed,
/// which nobody can set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    modified: SystemTime,
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    /// `None` where the file cannot be looked at, or was changed so lately that another change may look the same.
    pub(super) fn of(file: &File) -> Option<Self> {
        let metadata = fs::metadata(&file.path).ok()?;
        let modified = metadata.modified().ok()?;
        let settled = SystemTime::now().duration_since(modified).is_ok_and(|age| age >= SETTLED);
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        settled.then_some(Self {
            length: metadata.len(),
            modified,
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino()),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Seen {
    /// What came of the file when it looked like this.
    pub(super) fn outcome(&self, name: &str, stamp: Stamp) -> Option<Result<Fingerprint, SkipReason>> {
        let seen = self.0.lock().expect("nothing panics under it");
        seen.get(name).filter(|entry| entry.stamp == stamp).map(|entry| entry.outcome)
    }

    /// Keeps what came of a file; the stamp is from before it was read, so that a change in between is seen.
    pub(super) fn keep(&self, name: &str, stamp: Option<Stamp>, outcome: Result<Fingerprint, SkipReason>) {
        let mut seen = self.0.lock().expect("nothing panics under it");
        match (stamp, outcome) {
            // What cannot be read now, or not in time, may be read the next time, without a change.
            (None, _) | (_, Err(SkipReason::Unreadable(_) | SkipReason::TimedOut)) => drop(seen.remove(name)),
            (Some(stamp), outcome) => drop(seen.insert(name.to_owned(), Entry { stamp, outcome })),
        }
    }

    /// Forgets all files but these.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().expect("nothing panics under it").retain(|name, _| is_there(name));
    }
}
