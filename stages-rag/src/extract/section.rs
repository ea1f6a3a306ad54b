use super::Piece;
use crate::chunk::{self, Format};
use crate::corpus::{Limit, SkipReason};

/// Text under the same headings, or of one page.
struct Section {
    /// The headings that begin it, as they stand in front of its text.
    title: String,
    headings: Vec<String>,
    page: Option<u32>,
    text: String,
}

/// The sections of a document, as they come, within a number of bytes.
pub(super) struct Sections {
    done: Vec<Section>,
    /// The headings above what comes next, with their levels, the outermost first.
    above: Vec<(u8, String)>,
    /// Headings that no text has followed yet.
    title: String,
    left: usize,
    is_over: bool,
}

/// The most bytes of headings that follow each other without text before they are a section of their own.
#[cfg(feature = "html")]
const LONGEST_TITLE: usize = 400;

impl Sections {
    /// Takes sections that come to up to `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { done: Vec::new(), above: Vec::new(), title: String::new(), left: most, is_over: false }
    }

    /// Returns whether that many more bytes would be too many; then nothing more counts.
    pub(super) fn is_over(&mut self, more: usize) -> bool {
        self.is_over |= more > self.left;
        self.is_over
    }

    /// How many more bytes may come.
    #[cfg(feature = "pdf")]
    pub(super) const fn left(&self) -> usize {
        self.left
    }

    /// Begins a section below a heading; `before` is the text that stands in front of it.
    #[cfg(feature = "html")]
    pub(super) fn begin(&mut self, level: u8, title: String, before: String) {
        if !before.is_empty() || self.title.len() + title.len() > LONGEST_TITLE {
            self.end(before);
        }
        while self.above.last().is_some_and(|(last, _)| *last >= level) {
            self.above.pop();
        }
        for part in [&title, "\n\n"] {
            self.title.push_str(part);
        }
        self.above.push((level, title));
    }

    /// Ends a section with its text.
    #[cfg(feature = "html")]
    pub(super) fn end(&mut self, text: String) {
        self.add(text, None);
    }

    /// Adds the text of a page.
    #[cfg(feature = "pdf")]
    pub(super) fn page(&mut self, number: u32, text: String) {
        self.add(text, Some(number));
    }

    fn add(&mut self, text: String, page: Option<u32>) {
        let title = std::mem::take(&mut self.title);
        if text.is_empty() && title.is_empty() {
            return;
        }
        let cost = chunk::cost(self.above.iter().map(|(_, title)| title.as_str())) + title.len() + text.len();
        if self.is_over(cost) {
            return;
        }
        self.left -= cost;
        let headings = self.above.iter().map(|(_, title)| title.clone()).collect();
        self.done.push(Section { title, headings, page, text });
    }

    /// Cuts the sections.
    pub(super) fn cut(self) -> Result<Vec<Piece>, SkipReason> {
        if self.is_over {
            return Err(SkipReason::TooLarge(Limit::TextBytes));
        }
        Ok(self.done.into_iter().flat_map(Section::cut).collect())
    }
}

impl Section {
    /// The headings stay with the first piece: a passage of nothing else would win every search for its words.
    fn cut(self) -> Vec<Piece> {
        let Self { mut title, headings, page, text } = self;
        let chunks = chunk::cut(Format::Plain, &text, text.len()).expect("it is as long as it may be");
        let piece = |text: String| Piece { text, headings: headings.clone(), lines: None, page };
        let mut pieces: Vec<Piece> = chunks.into_iter().map(|chunk| piece(chunk.text.to_owned())).collect();
        match pieces.first_mut() {
            Some(first) => first.text.insert_str(0, &title),
            None => {
                title.truncate(title.trim_end().len());
                pieces.extend((!title.is_empty()).then(|| piece(title)));
            }
        }
        pieces
    }
}
