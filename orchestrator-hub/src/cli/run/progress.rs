use std::time::Duration;

use indicatif::ProgressBar;
use orchestrator_core::answer::{Answer, Report, StageReport, Tokens};
use orchestrator_core::error::Error;
use orchestrator_core::token::TokenEvent;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it is looked where the request is.
const LOOK: Duration = Duration::from_millis(50);

/// What the stages of a request take, while it runs: one line that changes on a terminal, until the answer begins; else a line
/// for each stage that is done.
pub(super) struct Progress {
    /// Draws nothing where the standard error is no terminal.
    line: ProgressBar,
    looks: Interval,
    told: usize,
    /// The answer is being printed.
    begun: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { line: ProgressBar::new_spinner(), looks, told: 0, begun: false }
    }

    /// Waits for the next event, and tells meanwhile where the request is.
    pub(super) async fn next(&mut self, answer: &mut Answer<Tokens>) -> Option<Result<TokenEvent, Error>> {
        while !self.begun {
            tokio::select! {
                biased;
                event = answer.next() => {
                    self.begin(&answer.report());
                    return event;
                }
                _ = self.looks.tick() => self.show(&answer.report()),
            }
        }
        answer.next().await
    }

    /// Makes room for the answer.
    fn begin(&mut self, report: &Report) {
        self.show(report);
        self.line.finish_and_clear();
        self.begun = true;
    }

    /// Tells what is new.
    fn show(&mut self, report: &Report) {
        if !self.line.is_hidden() {
            let stages: Vec<_> = report.stages.iter().map(brief).collect();
            self.line.set_message(stages.join(", "));
            self.line.tick();
            return;
        }
        let done: Vec<_> = report.stages.iter().filter(|stage| stage.run.is_some()).collect();
        for stage in done.iter().skip(self.told) {
            eprintln!("{}", brief(stage));
        }
        self.told = self.told.max(done.len());
    }
}

/// A stage and what it took, as far as that is known.
fn brief(stage: &StageReport) -> String {
    match (stage.wait, stage.run) {
        (None, None) => stage.name.clone(),
        (wait, run) => format!("{} waited {}, ran {}", stage.name, millis(wait), millis(run)),
    }
}

fn millis(time: Option<Duration>) -> String {
    time.map_or_else(|| "..".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3))
}
