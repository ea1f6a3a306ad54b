/// Text that is put together piece by piece, with white space as a browser shows it.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    gap: Gap,
    /// A list item has begun, and nothing of it has come yet.
    item: bool,
}

/// What stands between what was written last and what comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    #[default]
    None,
    Space,
    Cell,
    Line,
    Paragraph,
}

impl Text {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn take(&mut self) -> String {
        self.gap = Gap::None;
        self.item = false;
        std::mem::take(&mut self.text)
    }

    /// Asks for a gap before what comes next; the widest that was asked for counts.
    ///
    /// Between the mark of a list item and its text there is none.
    pub(super) fn gap(&mut self, gap: Gap) {
        if !self.item {
            self.gap = self.gap.max(gap);
        }
    }

    /// Marks what comes next as the item of a list.
    pub(super) fn begin_item(&mut self) {
        self.item = true;
    }

    /// Takes the mark back if nothing has come.
    pub(super) fn end_item(&mut self) {
        self.item = false;
    }

    /// Adds text whose white space is no more than a sign that there is some.
    pub(super) fn flow(&mut self, text: &str) {
        // A no-break space is white space to us, but no place to break at: it stays.
        let blank = |c: char| c.is_ascii_whitespace();
        let mut rest = text;
        while !rest.is_empty() {
            let trimmed = rest.trim_start_matches(blank);
            if trimmed.len() < rest.len() {
                self.gap(Gap::Space);
            }
            let word = trimmed.find(blank).map_or(trimmed, |end| &trimmed[..end]);
            if !word.is_empty() {
                self.close_gap();
                self.text.push_str(word);
            }
            rest = &trimmed[word.len()..];
        }
    }

    /// Adds text as it stands.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.close_gap();
        self.text.push_str(text);
    }

    fn close_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        self.text.push_str(match gap {
            _ if self.text.is_empty() => "",
            Gap::None => "",
            Gap::Space => " ",
            Gap::Cell => " | ",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        });
        if std::mem::take(&mut self.item) {
            self.text.push_str("- ");
        }
    }
}
