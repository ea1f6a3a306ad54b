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
/// Empty where the document has no text.
pub(crate) fn cut(format: Format, document: &str) -> Vec<Chunk<'_>> {
    match format {
        Format::Markdown => markdown::cut(document),
        Format::Plain => plain::cut(document),
    }
}

#[cfg(test)]
mod tests;
