use std::fmt;
use std::time::Duration;

/// How much of one file is read before it is passed over.
///
/// With the feature `pdf`, a file beyond some of them is left by unwinding, and so is one that breaks its reader. A program
/// that is built with `panic = "abort"` ends there: it should read only PDFs that it trusts.
///
/// A file beyond one of them is [skipped](crate::SkippedFile) whole, never cut off, so that no document is in the index
/// by half.
///
/// ```
/// use stages_rag::Limits;
///
/// let limits = Limits::default().file_bytes(8 << 20).pages(500);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub(crate) file_bytes: u64,
    pub(crate) text_bytes: usize,
    pub(crate) pages: usize,
    pub(crate) unpacked_bytes: usize,
    pub(crate) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            text_bytes: 16 << 20,
            pages: 5_000,
            unpacked_bytes: 128 << 20,
            time: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Sets how long a file may be; 64 MiB unless set.
    #[must_use]
    pub const fn file_bytes(mut self, bytes: u64) -> Self {
        self.file_bytes = bytes;
        self
    }

    /// Sets how much text may come out of a file; 16 MiB unless set.
    ///
    /// The document's name and the facts about it go with every passage, and may come to as much again: those of a file
    /// that is cut into many small sections must be short.
    #[must_use]
    pub const fn text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = bytes;
        self
    }

    /// Sets how many pages a PDF may have; 5,000 unless set.
    #[must_use]
    pub const fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// Sets how much the compressed parts of a PDF that are read may come to unpacked, all together; 128 MiB unless set.
    ///
    /// A part that is used by many pages counts for each.
    #[must_use]
    pub const fn unpacked_bytes(mut self, bytes: usize) -> Self {
        self.unpacked_bytes = bytes;
        self
    }

    /// Sets how long reading a PDF may take; 30 s unless set.
    ///
    /// A PDF is read on a thread of its own, which is left to itself when the time is over: its work is bounded by the
    /// other limits, and it ends when it is next asked. A process has at most two such threads, those left to themselves
    /// included: the next PDF waits for one of them for as long as it may take itself, and is
    /// [`Unreadable`](crate::SkipReason::Unreadable) where none was free. The other formats are read in one pass, whose time
    /// their size bounds.
    #[must_use]
    pub const fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// Which of the [`Limits`] a file is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::file_bytes`].
    FileBytes,
    /// [`Limits::text_bytes`].
    TextBytes,
    /// [`Limits::pages`].
    Pages,
    /// [`Limits::unpacked_bytes`].
    UnpackedBytes,
    /// The objects of a PDF: two million are kept, and a file may look as if it held a million, and one for every 12 bytes.
    /// A number of two bytes takes a hundred times that when it is read.
    Objects,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FileBytes => "file bytes",
            Self::TextBytes => "text bytes",
            Self::Pages => "pages",
            Self::UnpackedBytes => "unpacked bytes",
            Self::Objects => "objects",
        })
    }
}
