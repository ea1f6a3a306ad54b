//! What became of a request, held against its story.

use std::time::Duration;

use prompt_orchestrator::error::WorkerErrorKind;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::stats::PipelineStats;
use prompt_orchestrator::token::Finish;
use tokio::time::Instant;

use crate::common::until;
use crate::fleet::Fleet;
use crate::story::{Begun, Ends, PROMPT_TOKENS, Story, WORDS, whole};

/// In this time from the submission on, behind which a server sees the first attempt a little later, ..
const AT_FIRST: Duration = Duration::from_millis(1_500);

/// .. there are at most so many, ..
const MOST_AT_FIRST: usize = 2;

/// .. and so many in all.
const MOST: usize = 6;

/// What became of a request.
pub(crate) struct Told {
    text: String,
    end: Result<Finish, Error>,
    started: Instant,
    pub(crate) took: Duration,
    notes: Vec<String>,
    stats: PipelineStats,
    idle: bool,
    calls_counted: [u64; 2],
}

impl Told {
    /// Submits a request and reads its answer to the end.
    pub(crate) async fn by(fleet: &Fleet) -> Self {
        let started = Instant::now();
        let mut text = String::new();
        let mut end = None;
        let mut answer = fleet.pipeline.submit(PromptRequest::new("?")).await.expect("nobody else is there");
        while let Some(event) = answer.next().await {
            match event {
                Ok(TokenEvent::Finish(finish)) => end = Some(Ok(finish)),
                Ok(event) => text.push_str(event.text()),
                Err(error) => end = Some(Err(error)),
            }
        }
        let took = started.elapsed();
        let notes = answer.report().notes.into_iter().map(|note| note.text).collect();
        until("nobody holds a slot", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
        let members = fleet.pool.stats().members;
        Self {
            text,
            end: end.expect("an answer or an error"),
            started,
            took,
            notes,
            stats: fleet.pipeline.stats(),
            idle: fleet.is_idle(),
            calls_counted: [members[0].calls, members[1].calls],
        }
    }

    /// Says what is not as the story has it; `called` is what the two workers have seen.
    pub(crate) fn complaints(&self, story: &Story, begun: Begun, called: &[Vec<Instant>; 2]) -> Vec<String> {
        let found =
            [self.end_is(story.ends(begun)), self.calls_are(story.calls_with(begun), called), self.is_balanced()];
        let names = |complaint: String| format!("{}, the fallback {begun:?}: {complaint}", story.fault);
        found.into_iter().filter_map(Result::err).map(names).collect()
    }

    fn end_is(&self, ends: Ends) -> Result<(), String> {
        match (&self.end, ends) {
            (Ok(finish), Ends::Whole(by)) => self.is_whole(finish, by),
            (Err(error), Ends::Fails(kind)) => self.is_clear(error, kind),
            (Ok(_), _) => Err(format!("answered with {:?}, and not {ends:?}", self.text)),
            (Err(error), _) => Err(format!("failed, and not {ends:?}: {error}")),
        }
    }

    fn is_whole(&self, finish: &Finish, by: &str) -> Result<(), String> {
        is("the text", &self.text, &whole())?;
        is("the reason", &finish.reason, &FinishReason::Stop)?;
        is("the usage", &finish.usage, &Usage::new(PROMPT_TOKENS, WORDS as u64))?;
        let origin = finish.origin.as_ref().ok_or("it does not say who answered")?;
        is("who answered", &origin.worker.as_str(), &by)?;
        is("noted failures", &self.notes.len(), &origin.failed.len())?;
        is("calls and failures", &self.counted(), &(origin.failed.len() + 1))
    }

    /// One error of that kind, which names everybody who was asked.
    fn is_clear(&self, error: &Error, kind: WorkerErrorKind) -> Result<(), String> {
        let found = error.worker_error().ok_or("it is no worker's error")?;
        let same = std::mem::discriminant(&found.kind()) == std::mem::discriminant(&kind)
            && (matches!(kind, WorkerErrorKind::ContextLength { .. }) || found.kind() == kind);
        if !same {
            return Err(format!("{:?} is not {kind:?}: {error}", found.kind()));
        }
        is("noted failures", &self.notes.len(), &self.counted())?;
        if !self.notes.iter().all(|note| note.contains(" failed after ")) {
            return Err(format!("the report does not name the attempts: {:?}", self.notes));
        }
        let several = self.counted() > 1;
        if several && !(found.message().contains("primary") && found.message().contains("fallback")) {
            return Err(format!("it does not name who was asked: {}", found.message()));
        }
        Ok(())
    }

    fn counted(&self) -> usize {
        self.calls_counted.iter().sum::<u64>() as usize
    }

    fn calls_are(&self, expected: Option<[usize; 2]>, called: &[Vec<Instant>; 2]) -> Result<(), String> {
        let found = [called[0].len(), called[1].len()];
        is("counted calls", &self.calls_counted.map(|calls| calls as usize), &found)?;
        match expected {
            Some(expected) => is("calls", &found, &expected)?,
            None => is("calls in all", &(found[0] + found[1]), &MOST)?,
        }
        let all: Vec<_> = called.iter().flatten().map(|at| at.duration_since(self.started)).collect();
        if all.iter().filter(|at| **at < AT_FIRST).count() > MOST_AT_FIRST || all.len() > MOST {
            return Err(format!("too many attempts: {all:?}"));
        }
        Ok(())
    }

    fn is_balanced(&self) -> Result<(), String> {
        let PipelineStats { submitted, accepted, answered, failed, .. } = self.stats;
        let expected = if self.end.is_ok() { (1, 1, 1, 0) } else { (1, 1, 0, 1) };
        is("submitted, accepted, answered, failed", &(submitted, accepted, answered, failed), &expected)?;
        is("slots are back", &self.idle, &true)
    }
}

/// Says what is not as it should be.
pub(crate) fn is<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} in place of {expected:?}")) }
}
