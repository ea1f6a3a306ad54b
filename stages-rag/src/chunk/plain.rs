use text_splitter::TextSplitter;

use super::CHUNK_CHARS;
use super::span::{Chunk, Lines};
use super::window::windows;

/// Cuts at paragraphs where they fit, else at sentences, else at words.
pub(super) fn cut(document: &str) -> Vec<Chunk<'_>> {
    let lines = Lines::new(document);
    let splitter = TextSplitter::new(CHUNK_CHARS);
    let start = if document.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut chunks = Vec::new();
    for window in windows(document, start..document.len()) {
        for (at, text) in splitter.chunk_indices(&document[window.clone()]) {
            let start = window.start + at;
            chunks.extend(lines.chunk(start..start + text.len(), &[]));
        }
    }
    chunks
}
