mod anew;
mod barred;
mod ends;
mod going_on;
mod model;
mod pooled;
mod seam;

use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::token::Finish;
use orchestrator_core::worker::WorkerInfo;

/// What a reader makes of an answer.
struct Read {
    text: String,
    resets: usize,
    end: Result<Finish, WorkerError>,
}

impl Read {
    /// The terminal event.
    fn finish(&self) -> &Finish {
        self.end.as_ref().expect("a whole answer")
    }

    /// The error in its place.
    fn error(&self) -> &WorkerError {
        self.end.as_ref().expect_err("no whole answer")
    }
}

async fn ask(worker: &impl ModelWorker, request: InferenceRequest) -> Read {
    let mut read = Read { text: String::new(), resets: 0, end: Err(WorkerError::stream_cut()) };
    let mut stream = match worker.infer(request).await {
        Ok(stream) => stream,
        Err(error) => return Read { end: Err(error), ..read },
    };
    while let Some(item) = stream.next().await {
        match item {
            Ok(TokenEvent::Finish(finish)) => read.end = Ok(finish),
            Ok(TokenEvent::Reset) => {
                read.text.clear();
                read.resets += 1;
            }
            Ok(event) => read.text.push_str(event.text()),
            Err(error) => read.end = Err(error),
        }
    }
    read
}

fn request(prompt: PromptRequest) -> InferenceRequest {
    InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()))
}

fn plain() -> InferenceRequest {
    request(PromptRequest::new("?"))
}

fn error(kind: WorkerErrorKind) -> WorkerError {
    WorkerError::new(kind, "scripted")
}

fn stalled() -> WorkerError {
    WorkerError::timeout(Phase::BetweenTokens, Duration::from_secs(30))
}
