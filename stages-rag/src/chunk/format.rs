use std::path::Path;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Plain,
    #[cfg(feature = "html")]
    Html,
    #[cfg(feature = "pdf")]
    Pdf,
}

impl Format {
    /// The formats by the ends of the files' names.
    const EXTENSIONS: &[(&str, Self)] = &[
        ("md", Self::Markdown),
        ("txt", Self::Plain),
        #[cfg(feature = "html")]
        ("html", Self::Html),
        #[cfg(feature = "html")]
        ("htm", Self::Html),
        #[cfg(feature = "pdf")]
        ("pdf", Self::Pdf),
    ];

    /// Tells by the end of a file's name, in any case; `None` for what is not a document.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?;
        Self::EXTENSIONS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, format)| *format)
    }

    /// The name that passages carry under `format` in their metadata.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Plain => "text",
            #[cfg(feature = "html")]
            Self::Html => "html",
            #[cfg(feature = "pdf")]
            Self::Pdf => "pdf",
        }
    }
}
