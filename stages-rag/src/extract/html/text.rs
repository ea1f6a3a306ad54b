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

    /// Writes cells as a row of a Markdown table, the first of a table with the line that makes it its head.
    ///
    /// `false` where they hold paragraphs, which no row can, or nothing; then they stay as they are.
    pub(super) fn write_row(&mut self, cells: &[usize], is_head: bool) -> bool {
        let Some(whole) = cells.first().and_then(|first| self.text.get(*first..)) else { return false };
        let before = &whole[..whole.len() - whole.trim_start().len()];
        // Cells that stand behind other text are in no row.
        if whole.trim().is_empty() || cells[0] > 0 && !before.contains('\n') {
            return false;
        }
        // A blank line would end the table.
        let mut row = if is_head { before } else { "\n" }.to_owned();
        row.push('|');
        let ends = cells[1..].iter().copied().chain([self.text.len()]);
        for (start, end) in cells.iter().zip(ends) {
            let cell = &self.text[*start..end];
            let cell = if *start == cells[0] { cell } else { cell.strip_prefix(" | ").unwrap_or(cell) }.trim();
            if cell.contains("\n\n") {
                return false;
            }
            row.extend([" ", &cell.replace('\n', " ").replace('|', "\\|"), " |"]);
        }
        if is_head {
            row.push_str("\n|");
            row.push_str(&"---|".repeat(cells.len()));
        }
        self.text.truncate(cells[0]);
        self.text.push_str(&row);
        true
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
