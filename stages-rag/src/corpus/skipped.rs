use std::fmt;
use std::io;

/// Why a file is not in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// It holds a NUL byte, which no text does.
    Binary,
    /// It is not UTF-8.
    NotUtf8,
    /// It has no text beside white space and front matter.
    NoText,
    /// It is a link to a folder, a pipe, a socket or a device.
    NotAFile,
    /// The system did not let it be read, or listed in the case of a folder.
    Unreadable(io::ErrorKind),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("binary"),
            Self::NotUtf8 => f.write_str("not UTF-8"),
            Self::NoText => f.write_str("no text"),
            Self::NotAFile => f.write_str("not a file"),
            Self::Unreadable(kind) => write!(f, "unreadable, {kind}"),
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
