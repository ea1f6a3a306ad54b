//! How long a worker is waited for, phase by phase.

mod common;

use std::time::Duration;

use common::TestResult;
use prompt_orchestrator::error::Phase;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use prompt_orchestrator::worker::Timeouts;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

/// A worker with limits around it.
struct Limited(MockWorker, Timeouts);

#[async_trait]
impl ModelWorker for Limited {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.1.run(self.0.infer(request)).await
    }
}

/// Reads an answer to its end; returns its text, its error, and when that was.
async fn read(script: Script, timeouts: Timeouts, pause: Duration) -> (String, Option<WorkerErrorKind>, Duration) {
    let started = Instant::now();
    let worker = MockWorker::new(script);
    let request = InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()));
    let mut text = String::new();
    let mut failed = None;
    match Limited(worker.clone(), timeouts).infer(request).await {
        Err(error) => failed = Some(error.kind()),
        Ok(mut stream) => {
            while let Some(event) = stream.next().await {
                match event {
                    Ok(event) => text.push_str(event.text()),
                    Err(error) => failed = Some(error.kind()),
                }
                tokio::time::sleep(pause).await;
            }
            // What failed has been let go of, also while the stream itself is still held.
            assert!(failed.is_none() || worker.stats().live == 0, "the work goes on");
        }
    }
    (text, failed, started.elapsed())
}

fn late(phase: Phase) -> Option<WorkerErrorKind> {
    Some(WorkerErrorKind::Timeout(phase))
}

#[tokio::test(start_paused = true)]
async fn the_first_token_is_waited_for_in_the_call_and_in_the_stream() {
    let limits = Timeouts::none().first_token(100 * MS);
    let in_call = Script::new().hang();
    let in_stream = Script::new().delay(60 * MS).streaming().hang();
    for script in [in_call, in_stream] {
        assert_eq!(read(script, limits, Duration::ZERO).await, (String::new(), late(Phase::FirstToken), 100 * MS));
    }
    let in_time = Script::new().delay(60 * MS).streaming().delay(39 * MS).text("a").delay(500 * MS).finish();
    assert_eq!(read(in_time, limits, Duration::ZERO).await, ("a".into(), None, 599 * MS));
}

#[tokio::test(start_paused = true)]
async fn each_gap_between_tokens_has_the_whole_limit() {
    let limits = Timeouts::none().first_token(1_000 * MS).between_tokens(100 * MS);
    let paced = (0..20).fold(Script::new().delay(900 * MS).streaming(), |script, _| script.text("a").delay(99 * MS));
    let (text, failed, took) = read(paced.clone().finish(), limits, Duration::ZERO).await;
    assert_eq!((text.len(), failed, took), (20, None, (900 + 20 * 99) * MS));

    // Exactly so long behind the last event, wherever in the limit of the event before that was.
    let (text, failed, took) = read(paced.text("b").hang(), limits, Duration::ZERO).await;
    assert_eq!((text.len(), failed, took), (21, late(Phase::BetweenTokens), (900 + 20 * 99 + 100) * MS));
}

#[tokio::test(start_paused = true)]
async fn the_whole_call_is_limited_however_many_tokens_flow() {
    let limits = Timeouts::default().total(1_000 * MS);
    let paced = (0..200).fold(Script::new().streaming(), |script, _| script.text("a").delay(30 * MS));
    let (text, failed, took) = read(paced.finish(), limits, Duration::ZERO).await;
    assert_eq!((text.len(), failed, took), (34, late(Phase::Total), 1_000 * MS));

    // Where every event is ready when it is asked for, the clock is looked at now and then.
    let (text, failed, _) = read(Script::tokens(10_000), limits, MS).await;
    assert_eq!(failed, late(Phase::Total));
    assert!((1_000..1_100).contains(&(text.len() / "t ".len())), "{}", text.len());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_not_the_servers_fault() {
    let limits = Timeouts::none().first_token(100 * MS).between_tokens(100 * MS);
    let (text, failed, _) = read(Script::answering("a b c"), limits, 500 * MS).await;
    assert_eq!((text.as_str(), failed), ("a b c", None));
    // The gap begins when the next event is asked for.
    let script = Script::new().streaming().text("a").delay(99 * MS).text("b").finish();
    assert_eq!(read(script, limits, 500 * MS).await.1, None);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_passed_is_the_callers_error_and_frees_the_worker() -> TestResult {
    let worker = MockWorker::new(Script::new().streaming().text("a").hang());
    let pipeline = Pipeline::builder("limited")
        .stage(InferenceStage::new(Limited(worker.clone(), Timeouts::none().between_tokens(100 * MS))))
        .stage(StreamStage::default())
        .build()?;
    let error = pipeline.submit(PromptRequest::new("?")).await?.text().await.expect_err("it is silent");
    assert!(error.to_string().contains("infer"), "{error}");
    let worker_error = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .find_map(|error| error.downcast_ref::<WorkerError>());
    assert_eq!(worker_error.map(WorkerError::kind), late(Phase::BetweenTokens));
    assert_eq!(worker.stats().live, 0);
    Ok(())
}
