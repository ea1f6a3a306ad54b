use std::time::Duration;

use crate::error::WorkerError;
use crate::token::{FinishReason, TokenEvent, Usage};

/// What a [`MockWorker`](crate::testing::MockWorker) does for one request, step by step.
///
/// The steps before [`streaming`](Self::streaming) happen inside `infer`, the others in the stream. A script that ends
/// without [`finish`](Self::finish), [`fail`](Self::fail), [`panic`](Self::panic) or [`hang`](Self::hang) is a cut stream.
///
/// ```
/// use std::time::Duration;
/// use orchestrator_core::testing::Script;
///
/// let slow_start = Script::new().delay(Duration::from_millis(50)).streaming().text("late").finish();
/// let dies = Script::answering("some words").cut_after(1);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    pub(super) call: Vec<Step>,
    pub(super) stream: Vec<Step>,
    in_stream: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Delay(Duration),
    Yield,
    Emit(TokenEvent),
    Fail(WorkerError),
    Panic(&'static str),
    Hang,
}

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers with `text`, one event per word, and finishes.
    pub fn answering(text: &str) -> Self {
        text.split_inclusive(' ').fold(Self::new().streaming(), Self::text).finish()
    }

    /// Answers with `count` tokens `"t "` and finishes.
    pub fn tokens(count: usize) -> Self {
        (0..count).fold(Self::new().streaming(), |script, _| script.text("t ")).finish()
    }

    /// From here on the steps happen in the stream; `infer` returns.
    pub fn streaming(mut self) -> Self {
        self.in_stream = true;
        self
    }

    /// Waits.
    pub fn delay(self, time: Duration) -> Self {
        self.step(Step::Delay(time))
    }

    /// Lets others run once.
    pub fn yields(self) -> Self {
        self.step(Step::Yield)
    }

    /// Hands on any event; in the stream only.
    pub fn event(self, event: TokenEvent) -> Self {
        self.streaming().step(Step::Emit(event))
    }

    /// Hands on a piece of text; in the stream only.
    pub fn text(self, text: &str) -> Self {
        self.event(TokenEvent::text_delta(text))
    }

    /// Ends with a terminal event that counts the texts so far as one token each.
    pub fn finish(self) -> Self {
        let texts = self.stream.iter().filter(|s| matches!(s, Step::Emit(TokenEvent::Text(_)))).count();
        self.event(TokenEvent::finish(FinishReason::Stop, Usage::new(1, texts as u64)))
    }

    /// Fails.
    pub fn fail(self, error: WorkerError) -> Self {
        self.step(Step::Fail(error))
    }

    /// Panics.
    pub fn panic(self, message: &'static str) -> Self {
        self.step(Step::Panic(message))
    }

    /// Waits for ever.
    pub fn hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Drops all steps of the stream behind the first `events`, the end among them.
    pub fn cut_after(mut self, events: usize) -> Self {
        self.stream.truncate(events);
        self
    }

    fn step(mut self, step: Step) -> Self {
        let steps = if self.in_stream { &mut self.stream } else { &mut self.call };
        steps.push(step);
        self
    }
}
