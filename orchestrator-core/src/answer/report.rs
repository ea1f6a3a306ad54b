use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::cell::{Cell, lock};
use crate::token::Finish;

/// What one request took.
///
/// Shows as a small table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The request's number.
    pub id: u64,
    /// The stages in order.
    pub stages: Vec<StageReport>,
    /// From submission to the first token; of the last inference stage, where there are several.
    pub first_token: Option<Duration>,
    /// From submission to the last event of the stream, where there is one.
    pub last_event: Option<Duration>,
    /// How and with how many tokens the answer ended; `None` before that.
    pub finish: Option<Finish>,
    /// What stages had to say of the request, in order: see [`Context::note`](crate::context::Context::note).
    pub notes: Vec<Note>,
}

/// What a stage had to say of a request, for whoever reads its report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// The stage's name.
    pub stage: String,
    /// A sentence.
    pub text: String,
}

/// What one request took in one stage, to about a microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// The stage's name.
    pub name: String,
    /// Time in its queue; `None` where it has none, or was not reached.
    pub wait: Option<Duration>,
    /// Time in its `run`; `None` where that was not reached or has not ended.
    pub run: Option<Duration>,
}

impl Report {
    pub(crate) fn read(cell: &Cell) -> Self {
        let since_submitted = |a: &AtomicU64| {
            let ticks = a.load(Ordering::Acquire);
            (ticks > 0).then(|| Duration::from_nanos(ticks.saturating_sub(cell.submitted)))
        };
        let extra = cell.extra_if_any();
        let stages = cell.shared.stages.iter().enumerate().map(|(number, stage)| {
            let (wait, run) = cell.times(number).read();
            StageReport { name: stage.name.to_string(), wait, run }
        });
        Self {
            id: cell.id,
            stages: stages.collect(),
            first_token: extra.and_then(|e| since_submitted(&e.first_token)),
            last_event: extra.and_then(|e| since_submitted(&e.last_event)),
            finish: extra.and_then(|e| lock(&e.finish).clone()),
            notes: extra.map_or_else(Vec::new, |e| lock(&e.notes).iter().map(Note::from).collect()),
        }
    }
}

impl From<&(Arc<str>, String)> for Note {
    fn from((stage, text): &(Arc<str>, String)) -> Self {
        Self { stage: stage.to_string(), text: text.clone() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), millis);
        writeln!(f, "{:<12} {:>12} {:>12}", "stage", "waited", "ran")?;
        for stage in &self.stages {
            writeln!(f, "{:<12} {:>12} {:>12}", stage.name, ms(stage.wait), ms(stage.run))?;
        }
        if let Some(first) = self.first_token {
            write!(f, "first token after {}", millis(first))?;
            if let Some(last) = self.last_event {
                write!(f, ", last after {}", millis(last))?;
            }
            writeln!(f)?;
        }
        match &self.finish {
            Some(Finish { reason, usage, checks, origin, .. }) => {
                write!(
                    f,
                    "{} prompt tokens ({} cached), {} completion tokens, finish reason {}",
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.completion_tokens,
                    reason.as_str()
                )?;
                if let Some(origin) = origin.as_deref().filter(|origin| !origin.worker.is_empty()) {
                    write!(f, "\nanswered by {}", origin.worker)?;
                    if let Some(model) = &origin.model {
                        write!(f, " ({model})")?;
                    }
                }
                for check in checks {
                    write!(f, "\ncheck {check}")?;
                }
            }
            None => write!(f, "no terminal event")?,
        }
        for Note { stage, text } in &self.notes {
            write!(f, "\n{stage}: {text}")?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
