//! Cancellation takes a request out wherever it is, and everything that it held is free without any timer having to
//! fire: on the paused clock of these tests, the time does not change between the cancellation and the last assertion.
//!
//! - `waiting`: at the door, in a queue, in a popped batch and in the line for a slot;
//! - `running`: in a stage, and with an output that a full queue or its order holds back;
//! - `streams`: inside the worker's call, while tokens flow, and with an output that nobody took;
//! - `detached`: what goes on without its reader;
//! - `once`: no request ends twice, nor on many threads.

#[path = "../common/mod.rs"]
mod common;

mod detached;
mod once;
mod running;
mod streams;
mod waiting;

use futures_util::FutureExt;
use prompt_orchestrator::prelude::*;

/// The two ways in which a caller cancels.
#[derive(Debug, Clone, Copy)]
enum By {
    Drop,
    Cancel,
}

impl By {
    const BOTH: [Self; 2] = [Self::Drop, Self::Cancel];

    /// Cancels; returns the answer where it is still there to be read.
    fn apply<Out: Send + 'static>(self, mut answer: Answer<Out>) -> Option<Answer<Out>> {
        match self {
            Self::Drop => None,
            Self::Cancel => {
                answer.cancel();
                Some(answer)
            }
        }
    }
}

/// Whoever still can is told that the request was cancelled.
fn assert_told<Out: Send + 'static>(answer: Option<Answer<Out>>) {
    if let Some(mut answer) = answer {
        let output = answer.output().now_or_never().expect("it has ended");
        assert!(output.err().expect("it was cancelled").is_cancelled());
    }
}
