//! From the Markdown of a passage to its runs of prose.

use pulldown_cmark::{BrokenLink, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

/// A paragraph, a list item or a row of a table, free of Markdown but for its inline code.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// The headings above it inside of the passage.
    pub(super) heading: String,
    pub(super) text: String,
}

/// Splits a passage into its blocks. Code blocks, HTML and images are left out, headings go with what stands below.
///
/// Plain text passes as Markdown: its paragraphs are blocks.
pub(super) fn blocks(passage: &str) -> Vec<Block> {
    let passage = dedented(behind_cut_code(passage));
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let elsewhere = |link: BrokenLink<'_>| is_link(&link).then_some((CowStr::Borrowed(""), CowStr::Borrowed("")));
    let mut reader = Reader::default();
    for event in Parser::new_with_broken_link_callback(&passage, options, Some(elsewhere)) {
        reader.read(event);
    }
    reader.end_block();
    reader.blocks
}

/// Tells a link whose target stands elsewhere in the document from mere brackets.
fn is_link(link: &BrokenLink<'_>) -> bool {
    link.link_type == LinkType::Reference || link.reference.starts_with(['`', '#'])
}

/// Drops the rest of a code block whose beginning was cut off: its closing fence would open one.
fn behind_cut_code(passage: &str) -> &str {
    let mut fences = 0;
    let mut behind_first = None;
    let mut before = "";
    let mut end = 0;
    for line in passage.split_inclusive('\n') {
        end += line.len();
        if line.trim_start().starts_with("```") {
            // An opening fence names its language, or stands behind an empty line.
            if fences == 0 && line.trim() == "```" && !before.trim().is_empty() {
                behind_first = Some(end);
            }
            fences += 1;
        }
        before = line;
    }
    match behind_first {
        Some(end) if fences % 2 == 1 => &passage[end..],
        _ => passage,
    }
}

/// Removes the indentation that all lines share: what was nested in a list would be read as code.
fn dedented(passage: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let shared = passage.lines().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let lines: Vec<_> = passage.lines().map(|line| line.get(shared..).unwrap_or_default()).collect();
    lines.join("\n")
}

/// Collects blocks from the parser's events.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    /// The text of the block, heading or cell that is being read.
    text: String,
    headings: Vec<(HeadingLevel, String)>,
    columns: Vec<String>,
    cells: Vec<String>,
    /// How many elements that are left out are open.
    hidden: usize,
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            _ if self.hidden > 0 => {}
            Event::Text(text) => self.text.push_str(&text),
            Event::Code(code) => {
                self.text.push('`');
                self.text.push_str(&code);
                self.text.push('`');
            }
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::InlineHtml(html) => self.inline_html(&html),
            Event::Rule => self.end_block(),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_) => {
                self.end_block();
                self.hidden += 1;
            }
            Tag::Image { .. } => self.hidden += 1,
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::TableCell => {}
            _ => self.end_block(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_) | TagEnd::Image => self.hidden -= 1,
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link => {}
            TagEnd::Heading(level) => {
                self.headings.retain(|(above, _)| *above < level);
                self.headings.push((level, std::mem::take(&mut self.text)));
            }
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.text)),
            TagEnd::TableHead => self.columns = std::mem::take(&mut self.cells),
            TagEnd::TableRow => {
                let cells = std::mem::take(&mut self.cells);
                self.text = row(&self.columns, &cells);
                self.end_block();
            }
            _ => self.end_block(),
        }
    }

    /// Outside of code, a generic type reads as a tag.
    fn inline_html(&mut self, html: &str) {
        if html.starts_with("<br") {
            self.text.push(' ');
        } else if html.chars().nth(1).is_some_and(char::is_uppercase) {
            self.text.push_str(html);
        }
    }

    fn end_block(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let heading: Vec<_> = self.headings.iter().map(|(_, heading)| heading.as_str()).collect();
        let heading = heading.join(" ");
        if text.starts_with('|') {
            // Rows of a table whose head was cut off.
            let rows = text.lines().map(|line| {
                let cells: Vec<_> =
                    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
                row(&[], &cells)
            });
            self.blocks.extend(rows.map(|text| Block { heading: heading.clone(), text }));
        } else {
            self.blocks.push(Block { heading, text: text.to_owned() });
        }
    }
}

/// Writes a row of a table as prose: `first: second`, or `first; column: second; column: third`.
fn row(columns: &[String], cells: &[String]) -> String {
    let mut filled = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    let mut text = filled.next().map(|(_, first)| first.clone()).unwrap_or_default();
    for (i, cell) in filled {
        match columns.get(i).filter(|column| cells.len() > 2 && !column.is_empty()) {
            Some(column) => text.extend(["; ", column, ": ", cell]),
            None => text.extend([": ", cell]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(passage: &str) -> Vec<String> {
        blocks(passage).into_iter().map(|block| block.text).collect()
    }

    #[test]
    fn markdown_is_taken_off_and_inline_code_kept() {
        let passage = "**Bold** and *thin* `code` with a [link](https://x.y) and ![a picture](p.png).\n\
                       > A quote.\n\n1. One\n2. [x] Two\n   - Three\n\n---\n<p>html</p>\n";
        let expected = ["Bold and thin `code` with a link and .", "A quote.", "One", "Two", "Three"];
        assert_eq!(texts(passage), expected);
    }

    #[test]
    fn links_are_told_from_brackets_also_without_their_targets() {
        let passage = "See [`Layer`]s and [the guide][guide] ([#4]), but [not] `a[1]` or b[2].";
        assert_eq!(texts(passage), ["See `Layer`s and the guide (#4), but [not] `a[1]` or b[2]."]);
    }

    #[test]
    fn headings_go_with_what_stands_below() {
        let passage = "# Guide\n## Queues\nA.\n## Workers\nB.\n\nSetext\n===\nC.";
        let read = blocks(passage);
        let pairs: Vec<_> = read.iter().map(|b| (b.heading.as_str(), b.text.as_str())).collect();
        assert_eq!(pairs, [("Guide Queues", "A."), ("Guide Workers", "B."), ("Setext", "C.")]);
    }

    #[test]
    fn code_blocks_are_left_out_also_when_they_are_cut() {
        assert_eq!(texts("Before.\n```rust\nlet a = 1;\n```\nAfter."), ["Before.", "After."]);
        assert_eq!(texts("let a = 1;\nlet b = 2;\n```\n\nAfter.\n"), ["After."]);
        assert_eq!(texts("Before.\n```rust\nlet a = 1;\n"), ["Before."]);
        assert_eq!(texts("Before.\n\n```\nlet a = 1;\n"), ["Before."]);
        assert_eq!(texts("Before.\n```\nlet a = 1;\n```\nAfter."), ["Before.", "After."]);
    }

    #[test]
    fn a_shared_indentation_is_not_code() {
        assert_eq!(texts("    - one\n      goes on\n    - two"), ["one\ngoes on", "two"]);
    }

    #[test]
    fn rows_of_tables_read_as_prose() {
        assert_eq!(texts("| word | meaning |\n|---|---|\n| `Queue` | the link |"), ["`Queue`: the link"]);
        let three = "| policy | at 2x | at 10x |\n|---|---|---|\n| CoDel | 100 | 99 |\n| none | | 1 |";
        assert_eq!(texts(three), ["CoDel; at 2x: 100; at 10x: 99", "none; at 10x: 1"]);
        assert_eq!(texts("| `Queue` | the link |\n| `Stage` | a step |"), ["`Queue`: the link", "`Stage`: a step"]);
    }

    #[test]
    fn a_generic_type_is_not_a_tag() {
        assert_eq!(texts("A Vec<String> is <b>no</b> tag."), ["A Vec<String> is no tag."]);
    }
}
