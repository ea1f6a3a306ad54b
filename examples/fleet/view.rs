//! What is shown of the pool: a line of figures, and a table of its members.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prompt_orchestrator::pool::{BreakerState, MemberState, MemberStats, Pool};

use super::table::{self, Cell, Column, Look};
use super::tally::Tally;

const COLUMNS: [Column; 8] = [
    ("member", -6),
    ("state", -11),
    ("in flight", -9),
    ("breaker", -9),
    ("first token", 11),
    ("reused", 6),
    ("calls", 5),
    ("failed", 6),
];

/// What is shown.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) pool: Pool,
    pub(crate) tally: Arc<Tally>,
    /// Whether the servers run, those of which it is known.
    pub(crate) up: Vec<(&'static str, Arc<AtomicBool>)>,
}

impl View {
    /// Returns the lines of now.
    pub(crate) fn lines(&self, colours: bool) -> Vec<String> {
        let stats = self.pool.stats();
        let rows: Vec<_> = stats.members.iter().map(|member| self.row(member)).collect();
        let mut lines = vec![self.figures(), String::new()];
        lines.extend(table::lines(&COLUMNS, &rows, colours));
        lines
    }

    fn figures(&self) -> String {
        let (seconds, state) = (self.tally.seconds(), self.tally.lock());
        let rate = state.tokens as f64 / seconds.max(0.1);
        let lost = state.failed + state.differed;
        let continued = state.continued;
        format!(
            "  {seconds:5.1} s  {} answers, {rate:.0} tokens/s, {continued} went on in mid-stream, {lost} lost",
            state.answered
        )
    }

    fn row(&self, member: &MemberStats) -> Vec<Cell> {
        let dash = || Cell::new("-", Look::Faint);
        let usage = member.usage;
        let share = 100.0 * usage.cached_tokens as f64 / usage.prompt_tokens as f64;
        let failed = if member.failures > 0 { Look::Doubtful } else { Look::Plain };
        vec![
            Cell::from(&member.name),
            self.state(member),
            Cell::from(format!("{} of {}", member.in_flight, member.slots)),
            breaker(member.breaker.state),
            member.first_token.map_or_else(dash, |takes| Cell::from(format!("{:.0} ms", takes.as_secs_f64() * 1e3))),
            if usage.prompt_tokens > 0 { Cell::from(format!("{share:.0} %")) } else { dash() },
            Cell::from(member.calls),
            Cell::new(member.failures.to_string(), failed),
        ]
    }

    fn state(&self, member: &MemberStats) -> Cell {
        let killed = self.up.iter().any(|(name, up)| *name == member.name && !up.load(Ordering::Relaxed));
        match member.state {
            _ if killed => Cell::new("killed", Look::Bad),
            MemberState::Serving => Cell::new("serving", Look::Good),
            MemberState::Draining => Cell::new("draining", Look::Doubtful),
            MemberState::Unavailable => Cell::new("unavailable", Look::Bad),
            MemberState::Ejected => Cell::new("ejected", Look::Doubtful),
            other => Cell::from(format!("{other:?}").to_lowercase()),
        }
    }
}

fn breaker(state: BreakerState) -> Cell {
    let look = match state {
        BreakerState::Closed => Look::Good,
        BreakerState::Open { .. } => Look::Bad,
        _ => Look::Doubtful,
    };
    Cell::new(state.as_str(), look)
}
