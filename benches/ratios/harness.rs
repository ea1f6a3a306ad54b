//! Rounds, medians, and what is printed of them.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Whether a figure should be high or low.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Goals that are not reached, or not by every kind of processor: they are printed as short, and the exit code holds the
    /// code to what it reaches.
    ShortOfAtLeast {
        goal: f64,
        held: f64,
    },
    ShortOfAtMost {
        goal: f64,
        held: f64,
    },
    /// Without a goal, for orientation.
    None,
}

impl Goal {
    /// By how much of the goal the value misses it; at least 1.0 where it is met.
    fn met(self, value: f64) -> f64 {
        match self {
            Self::AtLeast(goal) | Self::ShortOfAtLeast { goal, .. } => value / goal,
            Self::AtMost(goal) | Self::ShortOfAtMost { goal, .. } => goal / value,
            Self::None => 1.0,
        }
    }

    /// Whether the exit code lets the value pass.
    fn passes(self, value: f64, tolerance: f64) -> bool {
        match self {
            Self::ShortOfAtLeast { held, .. } => value >= held,
            Self::ShortOfAtMost { held, .. } => value <= held,
            _ => self.met(value) >= tolerance,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(goal) | Self::ShortOfAtLeast { goal, .. } => write!(f, ">={goal:.2}"),
            Self::AtMost(goal) | Self::ShortOfAtMost { goal, .. } => write!(f, "<={goal:.2}"),
            Self::None => write!(f, "-"),
        }
    }
}

struct Line {
    name: String,
    value: f64,
    goal: Goal,
    rounds: usize,
}

pub(crate) struct Harness {
    short: bool,
    tolerance: f64,
    only: Vec<String>,
    lines: Vec<Line>,
    dropped: usize,
}

impl Harness {
    pub(crate) fn from_args() -> Self {
        let mut harness = Self { short: false, tolerance: 1.0, only: Vec::new(), lines: Vec::new(), dropped: 0 };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--short" => harness.short = true,
                "--tolerance" => {
                    harness.tolerance = args.next().and_then(|v| v.parse().ok()).expect("--tolerance takes a number");
                }
                // What cargo adds by itself.
                "--bench" => {}
                name => harness.only.push(name.to_owned()),
            }
        }
        harness
    }

    /// Whether any figure that starts with `name` is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| name.starts_with(o.as_str()) || o.starts_with(name))
    }

    /// How long one side of a round should take.
    pub(crate) fn round_time(&self) -> Duration {
        Duration::from_millis(if self.short { 250 } else { 500 })
    }

    fn rounds(&self) -> usize {
        if self.short { 7 } else { 15 }
    }

    /// Takes interleaved rounds of `baseline` and `candidate`; drops those in which the machine was not ours.
    ///
    /// Alternates which of the two comes first, so that neither always inherits the other's heap and caches.
    pub(crate) fn pairs<T>(
        &mut self,
        mut baseline: impl FnMut() -> T,
        mut candidate: impl FnMut() -> T,
    ) -> Vec<(T, T)> {
        let mut kept = Vec::new();
        let mut busy = Vec::new();
        let mut tries = 0;
        // One of each to warm up.
        drop((baseline(), candidate()));
        while kept.len() < self.rounds() && tries < 2 * self.rounds() {
            let usage = Usage::start();
            let pair = if tries % 2 == 0 {
                let b = baseline();
                (b, candidate())
            } else {
                let c = candidate();
                (baseline(), c)
            };
            tries += 1;
            if usage.had_the_machine() {
                kept.push(pair);
            } else {
                busy.push(pair);
            }
        }
        if kept.len() < 3 {
            println!("the machine was busy in {} of {tries} rounds, which are used all the same", busy.len());
            kept.append(&mut busy);
        }
        self.dropped += busy.len();
        kept
    }

    /// Prints and keeps the median of the rounds' ratios.
    pub(crate) fn ratio(&mut self, name: &str, goal: Goal, ratios: impl IntoIterator<Item = f64>) {
        let mut ratios: Vec<f64> = ratios.into_iter().collect();
        let rounds = ratios.len();
        let value = median(&mut ratios);
        self.line(name, value, goal, rounds);
    }

    /// Prints and keeps one figure.
    pub(crate) fn line(&mut self, name: &str, value: f64, goal: Goal, rounds: usize) {
        let verdict = if goal.met(value) >= 1.0 { "ok" } else { "short" };
        println!("RATIO {name:<32} {value:>12.3} {goal:>8} {verdict}", goal = goal.to_string());
        self.lines.push(Line { name: name.to_owned(), value, goal, rounds });
    }

    /// Writes the results down; returns the exit code.
    pub(crate) fn finish(&self) -> i32 {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ratios.json");
        let entries: Vec<String> = self
            .lines
            .iter()
            .map(|l| {
                let met = l.goal.met(l.value) >= 1.0;
                format!(
                    r#"  {{"name": "{}", "value": {:.4}, "goal": "{}", "ok": {met}, "rounds": {}}}"#,
                    l.name, l.value, l.goal, l.rounds
                )
            })
            .collect();
        let written = std::fs::create_dir_all(path.parent().expect("it has one"))
            .and_then(|()| std::fs::File::create(&path))
            .and_then(|mut file| writeln!(file, "[\n{}\n]", entries.join(",\n")));
        if let Err(error) = written {
            eprintln!("failed to write {}: {error}", path.display());
        }
        let missed: Vec<&str> =
            self.lines.iter().filter(|l| !l.goal.passes(l.value, self.tolerance)).map(|l| l.name.as_str()).collect();
        println!("{} figures, {} rounds dropped", self.lines.len(), self.dropped);
        if missed.is_empty() {
            return 0;
        }
        println!("worse than {} of the goal, or than what is held: {}", self.tolerance, missed.join(", "));
        1
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of this process and of the whole machine, in clock ticks.
struct Usage {
    since: Instant,
    ticks: Option<(u64, u64)>,
}

impl Usage {
    fn start() -> Self {
        Self { since: Instant::now(), ticks: ticks() }
    }

    /// Whether the others together used less than a twentieth of one core.
    ///
    /// Where the system does not tell, every round counts.
    fn had_the_machine(&self) -> bool {
        let (Some((own_before, all_before)), Some((own, all))) = (self.ticks, ticks()) else { return true };
        let others = (all - all_before).saturating_sub(own - own_before) as f64;
        // Ticks are hundredths of a second on every Linux that matters; two of them are the counting's own error.
        others <= 2.0 + 5.0 * self.since.elapsed().as_secs_f64()
    }
}

fn ticks() -> Option<(u64, u64)> {
    let own = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The command's name is in parentheses and may hold spaces.
    let fields: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
    let own = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let all = std::fs::read_to_string("/proc/stat").ok()?;
    let busy: Vec<u64> = all.lines().next()?.split_whitespace().skip(1).filter_map(|v| v.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|i| busy.get(*i)).sum();
    Some((own, busy))
}
