//! Cutting a document into passages that know their lines and headings.
//!
//! Every character that is not white space ends up in a chunk, front matter and a byte order mark aside, and a chunk is
//! a slice of the document: nothing is rewritten.

mod format;
mod markdown;
mod plain;
mod span;
mod window;

pub(crate) use format::Format;
pub(crate) use span::Chunk;

/// The most characters of text in a chunk; the headings in front of it come on top.
///
/// About 200 tokens of English: a thought with its context, and four of them fit any model.
const CHUNK_CHARS: usize = 800;

/// Cuts a document, in order.
///
/// Empty where the document has no text. `None` where its text, with the headings that go with every chunk, comes to more
/// than `most` bytes: five long headings above a million short sections are a thousand times the document.
pub(crate) fn cut(format: Format, document: &str, most: usize) -> Option<Vec<Chunk<'_>>> {
    match format {
        Format::Markdown => markdown::cut(document, most),
        // What was extracted from the others is plain text.
        _ => (document.len() <= most).then(|| plain::cut(document)),
    }
}

/// What a section costs beside its text, in bytes.
pub(crate) fn cost<'a>(headings: impl IntoIterator<Item = &'a str>) -> usize {
    // A passage is a few strings, and carries the facts about its document.
    256 + headings.into_iter().map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests;
