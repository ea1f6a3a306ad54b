//! What is measured, and what is printed of it.

use std::path::Path;
use std::time::Duration;

/// What a figure has to be.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Without a goal, to be stated.
    None,
}

pub(crate) struct Figures {
    only: Vec<String>,
    short: usize,
}

impl Figures {
    pub(crate) fn from_args() -> Self {
        // `--bench` is what cargo adds by itself.
        let only = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
        Self { only, short: 0 }
    }

    /// Whether any figure that starts with `name` is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| name.starts_with(o.as_str()) || o.starts_with(name))
    }

    /// Prints a figure, and keeps in mind whether it misses its goal.
    pub(crate) fn line(&mut self, name: &str, value: f64, unit: &str, goal: Goal) {
        let (goal, met) = match goal {
            Goal::AtMost(goal) => (format!("<={goal}"), value <= goal),
            Goal::AtLeast(goal) => (format!(">={goal}"), value >= goal),
            Goal::None => ("-".to_owned(), true),
        };
        self.short += usize::from(!met);
        println!("FIGURE {name:<32} {value:>12.3} {unit:<6} {goal:>8} {}", if met { "ok" } else { "short" });
    }

    /// Prints the median and the 99th percentile of times, in milliseconds.
    pub(crate) fn times(&mut self, name: &str, mut times: Vec<Duration>, p99: Goal) {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        self.line(&format!("{name}/p50"), at(50), "ms", Goal::None);
        self.line(&format!("{name}/p99"), at(99), "ms", p99);
    }

    /// Returns the exit code.
    pub(crate) fn finish(&self) -> i32 {
        i32::from(self.short > 0)
    }
}

/// What this process has taken at most since it was made, in MB, as the system counts it.
pub(crate) struct Peak {
    before: f64,
}

impl Peak {
    /// Starts to look, where the system allows to forget earlier peaks.
    pub(crate) fn start() -> Self {
        // "5" sets the peak to what is resident now (proc(5)); elsewhere it stays, and the figure is of the process.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { before: status("VmRSS:").unwrap_or_default() }
    }

    /// Returns by how much more was resident than at the start; none where the system does not tell.
    pub(crate) fn grown(&self) -> Option<f64> {
        status("VmHWM:").map(|peak| peak - self.before)
    }
}

/// Reads a line of this process's status, in MB.
fn status(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

/// Returns the size of the files in a folder, in MB.
pub(crate) fn size_on_disk(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).expect("a folder");
    let bytes: u64 = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum();
    bytes as f64 / (1 << 20) as f64
}
