//! The text of a PDF, page by page.
//!
//! Text is read in the order in which the page draws it. Where the next piece lies tells what stands between: nothing, a
//! space, a line or a paragraph. Fonts say which characters their codes mean; codes that nobody explains are left out,
//! and a page that is only a picture has no text.
//!
//! A PDF may be small and come to much: every compressed part that is unpacked counts against one sum, the reader is told
//! how many objects it may meet before it meets them, and the whole is done on a thread of its own, with a stack that the
//! deepest file cannot overflow and a time after which nobody waits for it.

mod cmap;
mod font;
mod layout;
mod lexer;
mod load;
mod page;
mod thread;

use std::collections::BTreeMap;
use std::time::Instant;

use lopdf::{Dictionary, Document, Object, Stream};

use super::section::Sections;
use super::{Extracted, fact};
use crate::corpus::{Limit, Limits, SkipReason};

/// Reads a PDF.
pub(super) fn extract(bytes: Vec<u8>, limits: &Limits) -> Result<Extracted, SkipReason> {
    let limits = limits.clone();
    thread::THREADS.run(limits.time, move |deadline| {
        let budget = Budget { unpacked: limits.unpacked_bytes, deadline };
        read(&bytes, &limits, budget)
    })
}

fn read(bytes: &[u8], limits: &Limits, mut budget: Budget) -> Result<Extracted, SkipReason> {
    let document = load::load(bytes, &mut budget)?;
    let mut sections = Sections::new(limits.text_bytes);
    let mut fonts = font::Fonts::default();
    for (number, page) in (1..).zip(document.page_iter()) {
        if number as usize > limits.pages {
            return Err(SkipReason::TooLarge(Limit::Pages));
        }
        let text = page::text(&document, page, &mut fonts, &mut budget, sections.left())?;
        if !text.is_empty() {
            sections.page(number, text);
        }
        if sections.is_over(0) {
            break;
        }
    }
    Ok(Extracted { pieces: sections.cut()?, metadata: facts(&document) })
}

/// What may still be spent on a file.
#[derive(Debug)]
struct Budget {
    unpacked: usize,
    deadline: Instant,
}

impl Budget {
    fn check_time(&self) -> Result<(), SkipReason> {
        if Instant::now() < self.deadline { Ok(()) } else { Err(SkipReason::TimedOut) }
    }

    /// Unpacks a stream; one that is damaged comes to nothing.
    fn unpack(&mut self, stream: &Stream) -> Result<Vec<u8>, SkipReason> {
        self.check_time()?;
        match stream.get_plain_content_with_limit(self.unpacked) {
            Ok(content) => {
                // Even nothing takes its time.
                self.unpacked = self.unpacked.saturating_sub(content.len() + 64);
                Ok(content)
            }
            Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
                Err(SkipReason::TooLarge(Limit::UnpackedBytes))
            }
            Err(_) => Ok(Vec::new()),
        }
    }
}

/// What the document says about itself.
fn facts(document: &Document) -> BTreeMap<String, String> {
    let Ok(info) = document.trailer.get_deref(b"Info", document).and_then(Object::as_dict) else {
        return BTreeMap::new();
    };
    let said = |key: &[u8]| lopdf::decode_text_string(info.get_deref(key, document).ok()?).ok();
    let known = [("title", b"Title".as_slice()), ("author", b"Author")];
    known.into_iter().filter_map(|(key, name)| Some((key.to_owned(), fact(&said(name)?)?))).collect()
}

/// Looks a dictionary up under a key, through references.
fn dictionary<'a>(document: &'a Document, within: &'a Dictionary, key: &[u8]) -> Option<&'a Dictionary> {
    within.get_deref(key, document).and_then(Object::as_dict).ok()
}

/// Looks a number up, through references.
fn number(document: &Document, object: &Object) -> Option<f32> {
    document.dereference(object).ok()?.1.as_float().ok().filter(|number| number.is_finite())
}
