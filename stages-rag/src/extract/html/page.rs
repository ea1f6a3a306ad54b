use html5gum::emitters::callback::CallbackEvent;

use super::facts::Facts;
use super::text::{Gap, Text};
use crate::corpus::SkipReason;
use crate::extract::Extracted;
use crate::extract::section::Sections;

/// The most bytes of a heading; what is longer is text that somebody wanted large.
const LONGEST_HEADING: usize = 400;

/// The most bytes of an attribute that are looked at.
const LONGEST_VALUE: usize = 1_000;

/// The most cells of a row; what has more is laid out in a table, and is none.
const MOST_COLUMNS: usize = 64;

/// Elements whose content is not read.
const LEFT_OUT: [&[u8]; 15] = [
    b"script",
    b"style",
    b"template",
    b"noscript",
    b"nav",
    b"iframe",
    b"object",
    b"audio",
    b"video",
    b"canvas",
    b"svg",
    b"math",
    b"select",
    b"datalist",
    b"noframes",
];

/// Elements that stand apart from what is around them.
const BLOCKS: [&[u8]; 31] = [
    b"p",
    b"div",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"main",
    b"aside",
    b"blockquote",
    b"pre",
    b"ul",
    b"ol",
    b"dl",
    b"table",
    b"figure",
    b"figcaption",
    b"address",
    b"details",
    b"summary",
    b"fieldset",
    b"form",
    b"hr",
    b"body",
    b"html",
    b"hgroup",
    b"search",
    b"dialog",
    b"menu",
    b"caption",
    b"center",
    b"legend",
];

/// Elements that begin a line of their own.
const LINES: [&[u8]; 8] = [b"li", b"dt", b"dd", b"tr", b"br", b"option", b"thead", b"tbody"];

/// What was read of a page so far.
pub(super) struct Page {
    sections: Sections,
    /// The level and the text of the heading that is being read.
    heading: Option<(u8, Text)>,
    text: Text,
    /// The element that is being passed over, and how often it is open in itself.
    left_out: Option<(Vec<u8>, usize)>,
    /// How many `pre` elements are open.
    preformatted: usize,
    /// Where in the text the cells of the row that is being read begin.
    row: Vec<usize>,
    /// A row of the table that is being read was written.
    has_head: bool,
    tag: Tag,
    facts: Facts,
}

/// The start tag that is being read, with those of its attributes that count.
#[derive(Default)]
struct Tag {
    name: Vec<u8>,
    attribute: Vec<u8>,
    lang: String,
    meta: String,
    content: String,
}

impl Page {
    pub(super) fn new(most: usize) -> Self {
        Self {
            sections: Sections::new(most),
            heading: None,
            text: Text::default(),
            left_out: None,
            preformatted: 0,
            row: Vec::new(),
            has_head: false,
            tag: Tag::default(),
            facts: Facts::default(),
        }
    }

    pub(super) fn handle(&mut self, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => self.tag = Tag { name: name.to_vec(), ..Tag::default() },
            CallbackEvent::AttributeName { name } => self.tag.attribute = name[..name.len().min(16)].to_vec(),
            CallbackEvent::AttributeValue { value } => self.tag.attribute(value),
            CallbackEvent::CloseStartTag { self_closing } => {
                let tag = std::mem::take(&mut self.tag);
                self.start(tag, *self_closing);
            }
            CallbackEvent::EndTag { name } => self.end(name),
            CallbackEvent::String { value } => self.string(&String::from_utf8_lossy(value)),
            _ => {}
        }
    }

    /// Ends the page, and cuts what it came to.
    pub(super) fn finish(mut self) -> Result<Extracted, SkipReason> {
        self.end_heading();
        self.end_row();
        self.sections.end(self.text.take());
        Ok(Extracted { pieces: self.sections.cut()?, metadata: self.facts.finish() })
    }

    fn start(&mut self, tag: Tag, self_closing: bool) {
        let name = tag.name.as_slice();
        if let Some((element, depth)) = &mut self.left_out {
            // A page that forgot to close its navigation has its content in here.
            let overdue = element == b"nav" && [b"main".as_slice(), b"article", b"h1"].contains(&name);
            if !overdue {
                *depth += usize::from(element == name && !self_closing);
                return;
            }
            self.left_out = None;
        }
        if LEFT_OUT.contains(&name) {
            // Only in these two does the slash at the end of a start tag close it.
            let closed = self_closing && [b"svg".as_slice(), b"math"].contains(&name);
            self.left_out = (!closed).then_some((tag.name, 1));
            return;
        }
        self.facts.start(name, &tag.lang, &tag.meta, &tag.content);
        if let Some(level) = level(name) {
            self.end_heading();
            // What holds headings only stands in a table to be laid out.
            self.row.clear();
            self.heading = Some((level, Text::default()));
            return;
        }
        match name {
            // A row that holds a table does, too.
            b"table" => self.row.clear(),
            b"tr" => self.end_row(),
            _ => {}
        }
        self.separate(name);
        match name {
            b"li" => self.text.begin_item(),
            b"td" | b"th" => {
                if !self.row.is_empty() {
                    self.text.gap(Gap::Cell);
                }
                self.row.push(self.text.len());
            }
            b"pre" => self.preformatted += 1,
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        if let Some((element, depth)) = &mut self.left_out {
            if element == name {
                *depth -= 1;
                if *depth == 0 {
                    self.left_out = None;
                }
            }
            return;
        }
        self.facts.end(name);
        if level(name).is_some() {
            self.end_heading();
            return;
        }
        if [b"li".as_slice(), b"ul", b"ol", b"menu"].contains(&name) {
            self.text.end_item();
        }
        if [b"table".as_slice(), b"tr"].contains(&name) {
            self.end_row();
        }
        if name == b"pre" {
            self.preformatted = self.preformatted.saturating_sub(1);
        }
        self.separate(name);
    }

    /// Keeps what stands before and behind a tag apart.
    fn separate(&mut self, name: &[u8]) {
        if name == b"table" {
            self.has_head = false;
        }
        let gap = match name {
            _ if BLOCKS.contains(&name) => Gap::Paragraph,
            _ if LINES.contains(&name) => Gap::Line,
            _ => return,
        };
        match &mut self.heading {
            Some((_, heading)) => heading.gap(Gap::Space),
            None => self.text.gap(gap),
        }
    }

    fn string(&mut self, text: &str) {
        if self.left_out.is_some() || self.facts.take_title(text) || self.sections.is_over(self.text.len() + text.len())
        {
            return;
        }
        match &mut self.heading {
            Some((_, heading)) => heading.flow(text),
            None if self.preformatted > 0 => self.text.verbatim(text),
            None => self.text.flow(text),
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        self.has_head |= (2..=MOST_COLUMNS).contains(&row.len()) && self.text.write_row(&row, !self.has_head);
    }

    fn end_heading(&mut self) {
        let Some((level, mut heading)) = self.heading.take() else { return };
        let title = heading.take();
        if title.len() > LONGEST_HEADING {
            self.text.gap(Gap::Paragraph);
            self.text.verbatim(&title);
        } else if !title.is_empty() {
            self.sections.begin(level, title, self.text.take());
        }
        self.text.gap(Gap::Paragraph);
    }
}

impl Tag {
    /// Keeps the value of the attribute that was named last, if it is one that counts.
    fn attribute(&mut self, value: &[u8]) {
        let kept = match self.attribute.as_slice() {
            b"lang" => &mut self.lang,
            b"name" => &mut self.meta,
            b"content" => &mut self.content,
            _ => return,
        };
        // The first of two counts, by the standard.
        if kept.is_empty() {
            *kept = String::from_utf8_lossy(&value[..value.len().min(LONGEST_VALUE)]).into_owned();
        }
    }
}

fn level(name: &[u8]) -> Option<u8> {
    match name {
        [b'h', digit @ b'1'..=b'6'] => Some(digit - b'0'),
        _ => None,
    }
}
