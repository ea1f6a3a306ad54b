//! Shows the fleet: redrawn in place in a terminal, line after line elsewhere.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// How many events a terminal shows.
const EVENTS: usize = 8;

/// How long the lines of events may be, so that none becomes two.
const WIDTH: usize = 77;

/// Where it is shown.
#[derive(Debug)]
pub(crate) enum Screen {
    Terminal {
        /// How many lines are to be drawn over.
        drawn: usize,
        events: VecDeque<String>,
    },
    Lines,
}

impl Screen {
    pub(crate) fn of_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Terminal { drawn: 0, events: VecDeque::new() } } else { Self::Lines }
    }

    pub(crate) const fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// How often it is to be shown.
    pub(crate) const fn every(&self) -> Duration {
        Duration::from_millis(if self.is_terminal() { 100 } else { 2_000 })
    }

    /// Shows what the table says now, and what has happened since it was shown last.
    pub(crate) fn show(&mut self, table: &[String], new: impl IntoIterator<Item = String>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self {
            Self::Terminal { drawn, events } => {
                events.extend(new);
                events.drain(..events.len().saturating_sub(EVENTS));
                let text = redrawn(*drawn, table, events);
                *drawn = table.len() + 1 + events.len();
                out.write_all(text.as_bytes())?;
            }
            Self::Lines => {
                for line in new.into_iter().chain(table.iter().cloned()) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        out.flush()
    }
}

/// Goes up to the first line of what was drawn before, and clears what is left of each line and below.
fn redrawn(drawn: usize, table: &[String], events: &VecDeque<String>) -> String {
    let up = if drawn > 0 { format!("\x1b[{drawn}A") } else { String::new() };
    let events = events.iter().map(|event| format!("  {}", event.chars().take(WIDTH).collect::<String>()));
    let lines = table.iter().cloned().chain([String::new()]).chain(events).map(|line| format!("{line}\x1b[K\n"));
    up + "\r" + &lines.collect::<String>() + "\x1b[J"
}
