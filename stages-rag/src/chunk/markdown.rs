use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use text_splitter::MarkdownSplitter;

use super::span::{Chunk, Lines};
use super::window::windows;
use super::{CHUNK_CHARS, cost};

/// The most bytes of a heading, markup included. What is longer is a paragraph that happens to stand on a rule, and
/// text.
pub(super) const LONGEST_HEADING: usize = 400;

/// Cuts at headings, and what is still too long at blocks, sentences, words.
///
/// No chunk spans two sections that both have text, so that its headings hold for all of it.
pub(super) fn cut(document: &str, most: usize) -> Option<Vec<Chunk<'_>>> {
    let lines = Lines::new(document);
    let splitter = MarkdownSplitter::new(CHUNK_CHARS);
    let mut chunks = Vec::new();
    for section in sections(document, most)? {
        let mut pieces = windows(document, section.body.clone()).flat_map(|window| {
            let found = splitter.chunk_indices(&document[window.clone()]);
            found.map(move |(at, text)| window.start + at..window.start + at + text.len())
        });
        // The headings stay with the first piece: a chunk of nothing else would win every search for its words.
        let first = section.start..pieces.next().map_or(section.body.end, |piece| piece.end);
        chunks.extend(std::iter::once(first).chain(pieces).filter_map(|range| lines.chunk(range, &section.headings)));
    }
    Some(chunks)
}

/// A stretch of text under the same headings.
struct Section {
    /// Where its own heading begins, or the first of several that follow each other without text.
    start: usize,
    body: Range<usize>,
    headings: Vec<String>,
}

/// `None` where the sections come to more than `most` bytes with their headings.
fn sections(document: &str, most: usize) -> Option<Vec<Section>> {
    let outline = Outline::of(document);
    let mut left = most.checked_sub(document.len())?;
    let mut sections = Vec::new();
    let mut above: Vec<&Heading> = Vec::new();
    let mut start = outline.start;
    let mut body = outline.start;
    for heading in &outline.headings {
        let before = body..heading.range.start;
        let has_text = !document[before.clone()].trim().is_empty();
        // A list of nothing but headings is cut as well.
        if has_text || heading.range.start - start > LONGEST_HEADING {
            left = left.checked_sub(cost(above.iter().map(|heading| heading.title.as_str())))?;
            sections.push(Section { start, body: before, headings: titles(&above) });
            start = heading.range.start;
        }
        body = heading.range.end;
        above.retain(|outer| outer.level < heading.level);
        above.push(heading);
    }
    sections.push(Section { start, body: body..document.len(), headings: titles(&above) });
    Some(sections)
}

fn titles(headings: &[&Heading]) -> Vec<String> {
    headings.iter().map(|heading| heading.title.clone()).filter(|title| !title.is_empty()).collect()
}

struct Heading {
    level: HeadingLevel,
    title: String,
    /// From the start of its first line.
    range: Range<usize>,
}

/// The headings of a document, in order, and where its text starts.
struct Outline {
    start: usize,
    headings: Vec<Heading>,
}

impl Outline {
    /// Finds the headings that divide the document: a heading in a quote, a list or a footnote is part of that.
    fn of(document: &str) -> Self {
        let start = if document.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut outline = Self { start, headings: Vec::new() };
        let text = &document[start..];
        // As the splitter does it, but a title keeps the quotes and dashes that the author typed.
        let options = Options::all() - Options::ENABLE_SMART_PUNCTUATION;
        let mut depth = 0_usize;
        let mut open: Option<Heading> = None;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::MetadataBlock(_)) if range.start == 0 => outline.start = start + range.end,
                Event::Start(Tag::Heading { level, .. }) if depth == 0 => {
                    let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
                    open = Some(Heading { level, title: String::new(), range: start + line..start + range.end });
                }
                Event::End(TagEnd::Heading(_)) => outline.headings.extend(open.take().and_then(Heading::finish)),
                Event::Start(Tag::BlockQuote(_) | Tag::Item | Tag::FootnoteDefinition(_)) => depth += 1,
                Event::Start(Tag::DefinitionListDefinition) => depth += 1,
                Event::End(TagEnd::BlockQuote(_) | TagEnd::Item | TagEnd::FootnoteDefinition) => depth -= 1,
                Event::End(TagEnd::DefinitionListDefinition) => depth -= 1,
                other => {
                    if let Some(heading) = &mut open {
                        heading.title.push_str(shown(&other));
                    }
                }
            }
        }
        outline
    }
}

impl Heading {
    /// Puts a title that may run over several lines on one.
    fn finish(mut self) -> Option<Self> {
        self.title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        (self.range.len() <= LONGEST_HEADING).then_some(self)
    }
}

/// What a reader sees of an inline element.
fn shown<'a>(event: &'a Event<'_>) -> &'a str {
    match event {
        Event::Text(text) | Event::Code(text) | Event::InlineMath(text) => text,
        Event::SoftBreak | Event::HardBreak => " ",
        _ => "",
    }
}
