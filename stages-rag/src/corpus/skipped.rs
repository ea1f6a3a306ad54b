use std::fmt;
use std::io;

use super::limits::Limit;

/// Why a file is not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// It holds a NUL byte, which no text does.
    Binary,
    /// It is not UTF-8, and does not say what else it is.
    NotUtf8,
    /// It has no text beside white space and front matter; a PDF of scanned pages has none.
    NoText,
    /// It is a link to a folder, a pipe, a socket or a device.
    NotAFile,
    /// The system did not let it be read, or listed in the case of a folder; for a PDF also that no thread was free.
    Unreadable(io::ErrorKind),
    /// It is encrypted, if only to forbid copying.
    Encrypted,
    /// It is beyond one of the [`Limits`](crate::Limits).
    TooLarge(Limit),
    /// It is not what its name says, or so damaged that it cannot be read.
    Broken,
    /// Reading it took longer than [`Limits::time`](crate::Limits::time).
    TimedOut,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("binary"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NoText => f.write_str("no text"),
            Self::NotAFile => f.write_str("not a file"),
            Self::Unreadable(kind) => write!(f, "unreadable, {kind}"),
            Self::Encrypted => f.write_str("encrypted"),
            Self::TooLarge(limit) => write!(f, "beyond the limit of {limit}"),
            Self::Broken => f.write_str("broken"),
            Self::TimedOut => f.write_str("took too long"),
        }
    }
}

/// A file, or a folder, that was passed over while a corpus was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedFile {
    /// Its path relative to the corpus, with `/`.
    pub path: String,
    /// Why it was passed over.
    pub reason: SkipReason,
}

/// Shows as `notes/logo.txt (binary)`.
impl fmt::Display for SkippedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path, self.reason)
    }
}
