//! A direct stream is polled when it was woken: asked again without that, its answer waits on.

mod common;

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use common::{TestResult, poll_once, streaming, until};
use futures_util::FutureExt;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::token::{Finish, FinishReason, TokenEvent, Usage};

/// What the test and the worker's stream share.
#[derive(Default)]
struct Stage {
    polls: usize,
    waker: Option<Waker>,
    said: Option<TokenEvent>,
}

/// Says what it is told to say.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Stage>>);

impl Told {
    fn polls(&self) -> usize {
        self.0.lock().expect("no panic").polls
    }

    fn say(&self, event: TokenEvent) {
        let mut stage = self.0.lock().expect("no panic");
        stage.said = Some(event);
        stage.waker.take().expect("it waits").wake();
    }
}

#[async_trait]
impl ModelWorker for Told {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let stage = self.0.clone();
        Ok(TokenStream::from_stream(futures_util::stream::poll_fn(move |cx| {
            let mut stage = stage.lock().expect("no panic");
            stage.polls += 1;
            stage.waker = Some(cx.waker().clone());
            stage.said.take().map_or(Poll::Pending, |event| Poll::Ready(Some(Ok(event))))
        })))
    }
}

/// Asks, with a waker of nobody's, until the worker's stream is waited for.
async fn waits(worker: &Told, answer: &mut Answer<Tokens>) {
    until("the stream waits", || {
        assert!(answer.next().now_or_never().is_none());
        worker.polls() > 0
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_nobody_has_woken_is_not_polled_again() -> TestResult {
    let worker = Told::default();
    let pipeline = streaming(worker.clone(), StreamStage::default().direct())?;
    let mut answer = pipeline.submit("?".into()).await?;
    waits(&worker, &mut answer).await;
    for _ in 0..3 {
        assert!(poll_once(&mut Box::pin(answer.next())).await.is_none());
    }
    assert_eq!(worker.polls(), 1);
    worker.say(TokenEvent::text_delta("a"));
    assert_eq!(answer.next().await.expect("an event")?, TokenEvent::text_delta("a"));
    assert_eq!(worker.polls(), 2);
    Ok(())
}

#[tokio::test]
async fn another_task_may_go_on_with_an_answer_that_waits() -> TestResult {
    let worker = Told::default();
    let pipeline = streaming(worker.clone(), StreamStage::default().direct())?;
    let mut answer = pipeline.submit("?".into()).await?;
    waits(&worker, &mut answer).await;
    let reader = tokio::spawn(async move { answer.next().await });
    tokio::task::yield_now().await;
    worker.say(TokenEvent::Finish(Finish::new(FinishReason::Stop, Usage::default())));
    assert!(reader.await?.expect("an event")?.is_terminal());
    assert_eq!(worker.polls(), 2);
    Ok(())
}
