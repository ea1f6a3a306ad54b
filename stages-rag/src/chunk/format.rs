use std::path::Path;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Plain,
}

impl Format {
    /// Tells by the end of a file's name, in any case; `None` for what is not a document.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        if extension.eq_ignore_ascii_case("md") {
            Some(Self::Markdown)
        } else if extension.eq_ignore_ascii_case("txt") {
            Some(Self::Plain)
        } else {
            None
        }
    }
}
