/// How far a [sync](crate::Folder::sync) has come: enough for a progress bar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The files that were looked at.
    pub done: usize,
    /// All files of the folder; the same from the first call to the last.
    pub total: usize,
    /// The file that was looked at last, relative to the folder; empty in the first call, before any.
    pub name: String,
    /// The passages that were put into the index so far.
    pub passages: usize,
}

/// Who is told.
pub(super) type Tell = dyn Fn(&Progress) + Send + Sync;
