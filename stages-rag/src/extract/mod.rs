//! Getting the text out of a file, and what it says about itself.
//!
//! Files come from anywhere: whatever one holds, it ends in its text or in a [`SkipReason`], within the [`Limits`].
//! Which files there are is the business of [`corpus`](crate::corpus), where to cut their text that of
//! [`chunk`](crate::chunk).

mod front_matter;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(any(feature = "html", feature = "pdf"))]
mod section;

use std::collections::BTreeMap;

use crate::chunk::{self, Format};
use crate::corpus::{Limit, Limits, SkipReason};

/// What a file came to.
#[derive(Debug, Default)]
pub(crate) struct Extracted {
    pub(crate) pieces: Vec<Piece>,
    /// What the document says about itself.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A piece of a document, cut to size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    /// The headings above it, the outermost first.
    pub(crate) headings: Vec<String>,
    /// First and last line, from 1, where the format has lines.
    pub(crate) lines: Option<(u32, u32)>,
    /// The page, from 1, where the format has pages.
    pub(crate) page: Option<u32>,
}

/// The most bytes of a value that a document says about itself: it goes with every passage.
const LONGEST_FACT: usize = 300;

/// Puts a value on one line and within bounds; `None` where nothing is left.
fn fact(value: &str) -> Option<String> {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| head(&line, LONGEST_FACT).to_owned())
}

/// The beginning of a text, up to so many bytes.
fn head(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Gets the text out of a file's bytes, and cuts it.
pub(crate) fn extract(format: Format, bytes: Vec<u8>, limits: &Limits) -> Result<Extracted, SkipReason> {
    match format {
        Format::Markdown | Format::Plain => text(format, bytes, limits),
        #[cfg(feature = "html")]
        Format::Html => html::extract(&bytes, limits),
        #[cfg(feature = "pdf")]
        Format::Pdf => pdf::extract(bytes, limits),
    }
}

fn text(format: Format, bytes: Vec<u8>, limits: &Limits) -> Result<Extracted, SkipReason> {
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    let text = String::from_utf8(bytes).map_err(|_| SkipReason::NotUtf8)?;
    if text.len() > limits.text_bytes {
        return Err(SkipReason::TooLarge(Limit::TextBytes));
    }
    let metadata = match format {
        Format::Markdown => front_matter::fields(&text),
        _ => BTreeMap::new(),
    };
    let piece = |chunk: chunk::Chunk<'_>| Piece {
        text: chunk.text.to_owned(),
        headings: chunk.headings,
        lines: Some(chunk.lines),
        page: None,
    };
    let chunks = chunk::cut(format, &text, limits.text_bytes).ok_or(SkipReason::TooLarge(Limit::TextBytes))?;
    Ok(Extracted { pieces: chunks.into_iter().map(piece).collect(), metadata })
}
