//! A table whose columns line up, with or without colours.

use std::fmt::Write as _;

/// How something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Good,
    Doubtful,
    Bad,
    Faint,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Doubtful => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Faint => "\x1b[2m",
        }
    }
}

/// What stands in a cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    look: Look,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, look: Look) -> Self {
        Self { text: text.into(), look }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.to_string(), Look::Plain)
    }
}

/// A column: its title and its width. Negative widths, in the manner of `printf`, for what stands on the left.
pub(crate) type Column = (&'static str, i8);

/// Returns the lines of a table.
pub(crate) fn lines(columns: &[Column], rows: &[Vec<Cell>], colours: bool) -> Vec<String> {
    let head = columns.iter().map(|(title, _)| Cell::new(*title, Look::Faint)).collect();
    std::iter::once(&head).chain(rows).map(|row: &Vec<Cell>| line(columns, row, colours)).collect()
}

fn line(columns: &[Column], row: &[Cell], colours: bool) -> String {
    let mut line = String::new();
    for ((_, width), cell) in columns.iter().zip(row) {
        let wide = usize::from(width.unsigned_abs());
        let text: String = cell.text.chars().take(wide).collect();
        let text = if *width < 0 { format!("{text:<wide$}") } else { format!("{text:>wide$}") };
        // Writing to a `String` does not fail.
        let _ = match (colours, cell.look) {
            (false, _) | (_, Look::Plain) => write!(line, "  {text}"),
            (true, look) => write!(line, "  {}{text}\x1b[0m", look.code()),
        };
    }
    line.truncate(line.trim_end().len());
    line
}
