//! What is expected of each figure, and the table of all.

use std::collections::BTreeMap;
use std::fmt;

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Nothing is expected: it is there to understand the others.
    Open,
}

use Goal::{AtLeast, AtMost, Open};

/// A line of the table.
struct Line(&'static str, &'static str, Goal);

/// All figures, in the order in which they are printed.
const LINES: [Line; 26] = [
    Line("answers/ours", "1/s", AtLeast(15_000.0)),
    Line("answers/nginx", "1/s", Open),
    Line("answers/direct", "1/s", Open),
    Line("answers/ours over nginx", "", AtLeast(0.35)),
    Line("answers/ours, processor", "us", Open),
    Line("answers/nginx, processor", "us", Open),
    Line("answers/ours, core busy", "", Open),
    Line("answers/nginx, core busy", "", Open),
    Line("events/ours", "1/s", AtLeast(100_000.0)),
    Line("events/nginx", "1/s", Open),
    Line("events/direct", "1/s", Open),
    Line("events/ours, processor", "us", Open),
    Line("events/nginx, processor", "us", Open),
    Line("events/ours, core busy", "", Open),
    Line("events/nginx, core busy", "", Open),
    Line("paced/ours", "us", Open),
    Line("paced/nginx", "us", Open),
    Line("paced/ours over nginx", "", AtMost(1.25)),
    Line("paced/ours on time", "", AtLeast(0.9)),
    Line("first token/direct", "ms", Open),
    Line("first token/nginx, added", "ms", Open),
    Line("first token/ours, added", "ms", AtMost(2.0)),
    Line("memory/idle", "MiB", AtMost(30.0)),
    Line("memory/256 streams", "MiB", AtMost(80.0)),
    Line("observed/us per answer", "us", Open),
    Line("observed/on over off", "", AtMost(1.10)),
];

/// What was measured, round for round, by the name of its line.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<&'static str, Vec<f64>>);

impl Figures {
    /// Adds what a round has given.
    ///
    /// # Panics
    ///
    /// The table has no line of this name.
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        assert!(LINES.iter().any(|line| line.0 == name), "the table has no line {name}");
        self.0.entry(name).or_default().push(value);
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|values| median(values))
    }

    /// Returns whether no goal was missed by more than a factor; one that was not measured is missed where all were to be.
    pub(crate) fn meet_goals(&self, within: f64, all: bool) -> bool {
        let is_met = |Line(name, _, goal): &Line| match self.median(name) {
            Some(value) => goal.is_met(value, within),
            None => !all || matches!(goal, Open),
        };
        LINES.iter().all(is_met)
    }
}

/// The value in the middle; of two the lower one.
///
/// # Panics
///
/// There is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

/// Prints what was measured beside what is expected.
pub(crate) fn print(figures: &Figures) {
    for Line(name, unit, goal) in LINES {
        let Some(value) = figures.median(name) else { continue };
        let verdict = if goal.is_met(value, 1.0) { "ok" } else { "short" };
        println!("FIGURE {name:<26} {value:>12.3} {unit:<3} {:>10} {verdict}", goal.to_string());
    }
    for peer in ["answers/ours", "events/ours", "answers/nginx", "events/nginx"] {
        let busy = figures.0.iter().find(|(name, _)| name.strip_suffix(", core busy") == Some(peer));
        if busy.is_some_and(|(_, values)| median(values) < 0.9) {
            println!("NOTE {peer}: its core was not the one that was busy, so this is a lower bound");
        }
    }
}

impl Goal {
    fn is_met(self, value: f64, within: f64) -> bool {
        match self {
            AtLeast(least) => value >= least / within,
            AtMost(most) => value <= most * within,
            Open => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtLeast(least) => write!(f, ">={least}"),
            AtMost(most) => write!(f, "<={most}"),
            Open => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of which each is just as good as its goal.
    fn met() -> Figures {
        let mut figures = Figures::default();
        for Line(name, _, goal) in LINES {
            figures.add(name, if let AtLeast(value) | AtMost(value) = goal { value } else { 0.0 });
        }
        figures
    }

    #[test]
    fn a_goal_is_missed_by_more_than_the_factor_on_either_side() {
        for (name, value) in [("answers/ours", 15_000.0 / 1.9), ("paced/ours over nginx", 1.25 * 1.9)] {
            let mut figures = met();
            assert!(figures.meet_goals(1.0, true));
            figures.0.insert(name, vec![value]);
            assert!(!figures.meet_goals(1.0, true) && !figures.meet_goals(1.8, true), "{name}");
            assert!(figures.meet_goals(2.0, true), "{name}");
        }
    }

    #[test]
    fn a_goal_that_was_not_measured_is_missed_unless_only_some_were_to_be() {
        let mut figures = met();
        figures.0.remove("answers/nginx");
        assert!(figures.meet_goals(1.0, true), "nothing is expected of it");
        figures.0.remove("memory/idle");
        assert!(!figures.meet_goals(1.0, true));
        assert!(figures.meet_goals(1.0, false));
    }

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[3.0, 1.0]), 1.0);
    }
}
