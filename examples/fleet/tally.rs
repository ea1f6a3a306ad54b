//! What happened, for whoever shows it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prompt_orchestrator::token::Origin;
use tokio::time::Instant;

/// How many events are kept until somebody shows them.
const EVENTS: usize = 64;

/// What all tasks write down.
#[derive(Debug)]
pub(crate) struct Tally {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) requests: u64,
    /// As a server gave it that nobody disturbed.
    pub(crate) answered: u64,
    /// Ended with an error.
    pub(crate) failed: u64,
    /// Ended well, with another text.
    pub(crate) differed: u64,
    /// Of the answered: a server failed in the middle of it, and another went on.
    pub(crate) continued: u64,
    /// Of the answered: somebody failed before it began.
    pub(crate) retried: u64,
    pub(crate) tokens: u64,
    pub(crate) kills: u64,
    /// Attempts beyond the first ones, known at the end.
    pub(crate) retries: u64,
    /// Attempts that were not made for want of a budget, known at the end.
    pub(crate) out_of_budget: u64,
    /// Answers that it brought to their end, and calls that failed, by member.
    pub(crate) members: BTreeMap<String, (u64, u64)>,
    /// The last ones, each with its time.
    pub(crate) events: VecDeque<String>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), state: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it has been, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    pub(crate) fn event(&self, what: impl fmt::Display) {
        let mut state = self.lock();
        if state.events.len() == EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(format!("{:5.1} s  {what}", self.seconds()));
    }

    /// Notes an answer that came to its end, and who gave it.
    pub(crate) fn answered(&self, who: &str, origin: &Origin, tokens: u64) {
        let begun = origin.failed.iter().rfind(|attempt| attempt.begun);
        if let Some(attempt) = begun {
            self.event(format!("{who}: {} was cut off, {} went on", attempt.worker, origin.worker));
        }
        let mut state = self.lock();
        state.answered += 1;
        state.tokens += tokens;
        state.continued += u64::from(begun.is_some());
        state.retried += u64::from(begun.is_none() && !origin.failed.is_empty());
        state.members.entry(origin.worker.clone()).or_default().0 += 1;
        for attempt in &origin.failed {
            state.members.entry(attempt.worker.clone()).or_default().1 += 1;
        }
    }
}

impl State {
    /// Whether every request was answered as it must be.
    pub(crate) const fn is_sound(&self) -> bool {
        self.requests == self.answered
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, answered, failed, differed, continued, retried, kills, retries, out_of_budget, .. } = self;
        writeln!(
            f,
            "{requests} requests, {answered} answered as by a server that nobody disturbs: {failed} failed, {differed} differ"
        )?;
        writeln!(
            f,
            "{continued} went on elsewhere in mid-stream, {retried} were tried again before the first token, {kills} kills"
        )?;
        writeln!(f, "{retries} attempts beyond the first ones, {out_of_budget} given up for want of a budget")?;
        for (name, (answers, failures)) in &self.members {
            writeln!(f, "{name}: {answers} answers, {failures} failed attempts")?;
        }
        Ok(())
    }
}
