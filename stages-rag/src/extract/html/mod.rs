//! The text of an HTML page.
//!
//! A tokenizer by the standard and no tree: nesting costs nothing, and what is unclosed needs no repair. Left out is what
//! is not content: scripts, styles, templates, navigation, embedded objects, choices of forms. Headings divide the page
//! as they divide Markdown, block elements divide paragraphs, the items of a list begin with `- `, the cells of a table
//! row stand between ` | `, and preformatted text keeps its lines.

mod charset;
mod facts;
mod page;
mod text;

use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::Extracted;
use crate::corpus::{Limits, SkipReason};
use page::Page;

/// Reads a page.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, SkipReason> {
    let source = charset::decode(bytes)?;
    let mut page = Page::new(limits.text_bytes);
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        page.handle(&event);
        None
    });
    // Scripts, styles, titles and the like have rules of their own for what ends them.
    emitter.naively_switch_states(true);
    for token in Tokenizer::new_with_emitter(&*source, emitter) {
        let Ok(_) = token;
    }
    page.finish()
}

#[cfg(test)]
mod tests;
