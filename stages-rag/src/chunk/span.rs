use std::ops::Range;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub(crate) text: &'a str,
    /// The headings above it, the outermost first.
    pub(crate) headings: Vec<String>,
    /// First and last line in the document, from 1.
    pub(crate) lines: (u32, u32),
}

/// A document with the places of its line ends.
pub(super) struct Lines<'a> {
    document: &'a str,
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(document: &'a str) -> Self {
        let ends = document.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { document, ends }
    }

    /// Takes a chunk out of the document, without the blank lines and spaces around it.
    ///
    /// The indentation of its first line stays: it may be code. `None` where all of it is blank.
    pub(super) fn chunk(&self, range: Range<usize>, headings: &[String]) -> Option<Chunk<'a>> {
        let whole = &self.document[range.clone()];
        let text = whole.trim_end();
        let blank = text.len() - text.trim_start().len();
        let indentation = text[..blank].rfind('\n').map_or(0, |at| at + 1);
        let text = &text[indentation..];
        if text.is_empty() {
            return None;
        }
        let start = range.start + indentation;
        let lines = (self.line_of(start), self.line_of(start + text.len() - 1));
        Some(Chunk { text, headings: headings.to_vec(), lines })
    }

    /// The number of the line that holds the byte at `offset`, from 1.
    fn line_of(&self, offset: usize) -> u32 {
        let line = self.ends.partition_point(|end| *end < offset) + 1;
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}
