//! A server with four slots never sees a fifth request, whatever the number of pipelines and callers; and a slot is
//! taken exactly from the call to the end of its stream.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Gate, Stopwatch, TestResult, assert_balanced, both_deliveries, count, prompts, settle, slots, streaming, until,
    until_on_threads,
};
use futures_util::future::join_all;
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::WorkerErrorKind;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

const SLOTS: usize = 4;
const STREAMS: usize = 200;

/// What stands in the way between a request and its slot beside the slots themselves.
fn limits() -> [(&'static str, StageConfig); 4] {
    [
        ("no limit", StageConfig::new()),
        ("a wider limit", StageConfig::new().concurrency(2 * SLOTS)),
        ("a narrower limit", StageConfig::new().concurrency(SLOTS - 1)),
        ("in task", StageConfig::new().queued()),
    ]
}

fn pipeline(
    worker: &MockWorker,
    config: StageConfig,
    stream: StreamStage,
) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let config = config.shed(ShedPolicy::Backpressure);
    prompts("shares").stage_with(InferenceStage::new(worker.clone()), config).stage(stream).build()
}

/// A worker that is slow in every way that a stream can be.
fn uneven(slots: &Slots) -> MockWorker {
    let worker = MockWorker::with(|request| {
        let number: u64 = request.question().parse().expect("a number");
        let pause = Duration::from_millis(number % 7);
        let script = Script::new().delay(pause).yields().streaming().text("a").delay(pause);
        (0..number % 5).fold(script, |script, _| script.yields().text("b")).finish()
    });
    worker.slots(slots.clone())
}

#[tokio::test(start_paused = true)]
async fn two_pipelines_with_two_hundred_streams_never_need_a_fifth() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for (limit, config) in limits() {
            let slots = slots(SLOTS);
            let worker = uneven(&slots);
            let pair =
                [pipeline(&worker, config.clone(), stage.clone())?, pipeline(&worker, config.clone(), stage.clone())?];
            let callers = (0..STREAMS).map(|number| {
                let pipeline = pair[number % 2].clone();
                async move { pipeline.submit(number.to_string().into()).await?.text().await }
            });
            for (number, text) in join_all(callers).await.into_iter().enumerate() {
                assert_eq!(text?, format!("a{}", "b".repeat(number % 5)));
            }
            let stats = worker.stats();
            assert_eq!((stats.calls, stats.finished, stats.live), (200, 200, 0), "{delivery}, {limit}");
            assert_eq!(stats.most_live, SLOTS, "{delivery}, {limit}");
            assert_eq!(slots.free(), SLOTS);
            for pipeline in &pair {
                assert_eq!(pipeline.stats().answered, 100, "{delivery}, {limit}");
                assert_balanced(&pipeline.stats());
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_never_need_a_fifth_either() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        for (limit, config) in limits() {
            let slots = slots(SLOTS);
            let worker = MockWorker::new(Script::new().yields().streaming().text("a").yields().text("b").finish())
                .slots(slots.clone());
            let pair =
                [pipeline(&worker, config.clone(), stage.clone())?, pipeline(&worker, config.clone(), stage.clone())?];
            let callers: Vec<_> = (0..STREAMS)
                .map(|number| {
                    let pipeline = pair[number % 2].clone();
                    tokio::spawn(async move { pipeline.submit("?".into()).await?.text().await })
                })
                .collect();
            for caller in callers {
                assert_eq!(caller.await??, "ab");
            }
            until_on_threads("all slots are free", || slots.free() == SLOTS);
            let stats = worker.stats();
            assert!(stats.most_live <= SLOTS, "{delivery}, {limit}: {stats:?}");
            assert_eq!((stats.finished, stats.live), (200, 0), "{delivery}, {limit}");
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn callers_who_leave_and_streams_that_fail_give_their_slots_back() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(SLOTS);
        let worker = MockWorker::with(|request| {
            let error = WorkerError::new(WorkerErrorKind::Transient, "reset");
            match request.question().parse::<u64>().expect("a number") % 6 {
                0 => Script::new().fail(error),
                1 => Script::new().streaming().text("a").fail(error),
                2 => Script::new().panic("in infer"),
                3 => Script::new().streaming().text("a").panic("in the stream"),
                4 => Script::answering("cut").cut_after(1),
                _ => Script::new().streaming().text("a").delay(Duration::from_millis(1)).text("b").finish(),
            }
        });
        let worker = worker.slots(slots.clone());
        let pipeline = pipeline(&worker, StageConfig::new(), stage)?;
        let callers = (0..STREAMS).map(|number| {
            let pipeline = pipeline.clone();
            async move {
                let mut answer = pipeline.submit(number.to_string().into()).await?;
                if number % 12 == 11 {
                    // Leaves after the first token.
                    drop(answer.next().await);
                    return Ok(String::new());
                }
                answer.text().await
            }
        });
        let answered = join_all(callers).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(answered, STREAMS / 6);
        until("all slots are free", || slots.free() == SLOTS).await;
        let stats = worker.stats();
        assert_eq!((stats.calls, stats.live), (STREAMS as u64, 0), "{delivery}");
        assert!(stats.most_live <= SLOTS, "{delivery}: {stats:?}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_taken_from_the_call_to_the_end_of_the_stream() -> TestResult {
    // Direct, so that the stream goes no further than it is read.
    let slots = slots(2);
    let worker = MockWorker::new(Script::answering("a b")).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().direct())?;
    assert_eq!(slots.free(), 2, "a pipeline without requests holds none");
    let mut answer = pipeline.submit("?".into()).await?;
    until("it is called", || worker.stats().live == 1).await;
    for _ in 0..2 {
        assert_eq!(slots.free(), 1);
        answer.next().await.expect("a token")?;
    }
    assert_eq!(slots.free(), 1, "the terminal event has not come");
    assert!(answer.next().await.expect("the terminal event")?.is_terminal());
    assert_eq!((slots.free(), worker.stats().live), (2, 0), "the answer is still held, the slot is not");
    drop(answer);
    assert_eq!(slots.free(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_buffered_stream_gives_its_slot_back_before_it_is_read() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::tokens(20)).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default().buffered(count(32)))?;
    let clock = Stopwatch::start();
    let mut answer = pipeline.submit("?".into()).await?;
    until("the stream has ended", || worker.stats().finished == 1).await;
    assert_eq!(slots.free(), 1);
    assert_eq!(answer.text().await?, "t ".repeat(20));
    clock.assert_still();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_the_stream_itself_keeps_its_slot_until_it_is_dropped() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::tokens(2)).slots(slots.clone());
    let pipeline = prompts("raw").stage(InferenceStage::new(worker.clone())).build()?;
    let first = pipeline.submit("?".into()).await?.output().await?;
    let mut second = pipeline.submit("?".into()).await?;
    settle().await;
    assert_eq!((slots.free(), worker.stats().calls, pipeline.stats().stages[0].depth), (0, 1, 1));
    drop(first);
    let mut stream = second.output().await?;
    assert_eq!((slots.free(), worker.stats().calls), (0, 2));
    while let Some(event) = stream.next().await {
        event?;
    }
    assert_eq!(slots.free(), 1, "it has ended");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_its_slot_in_the_queue_and_nowhere_else() -> TestResult {
    let slots = slots(1);
    let worker = MockWorker::new(Script::new().hang()).slots(slots.clone());
    let pipeline = streaming(worker.clone(), StreamStage::default())?;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(pipeline.submit("?".into()).await?);
        settle().await;
    }
    assert_eq!((worker.stats().calls, pipeline.stats().stages[0].depth), (1, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_with_many_requests_does_not_starve_one_with_a_few() -> TestResult {
    let slots = slots(1);
    let called: Arc<Mutex<Vec<String>>> = Arc::default();
    let calls = called.clone();
    let worker = MockWorker::with(move |request| {
        calls.lock().expect("not poisoned").push(request.question().into_owned());
        Script::answering("served")
    });
    let worker = worker.slots(slots.clone());
    let greedy = streaming(worker.clone(), StreamStage::default())?;
    let modest = streaming(worker.clone(), StreamStage::default())?;
    let taken = slots.acquire().await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(greedy.submit("greedy".into()).await?);
    }
    settle().await;
    for _ in 0..2 {
        answers.push(modest.submit("modest".into()).await?);
    }
    settle().await;
    drop(taken);
    for answer in &mut answers {
        answer.text().await?;
    }
    let called = called.lock().expect("not poisoned");
    assert_eq!(called[..4], ["greedy", "modest", "greedy", "modest"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn any_stage_can_be_limited_by_slots() -> TestResult {
    let slots = slots(2);
    let gate = Gate::shut();
    let pipeline = common::one_gated(common::patient().slots(slots.clone()), &gate)?;
    let mut answers = Vec::new();
    for number in 0..5 {
        answers.push(pipeline.submit(common::ask(number)).await?);
    }
    settle().await;
    assert_eq!((gate.inside(), slots.free(), pipeline.stats().stages[0].depth), (2, 0, 3));
    gate.open();
    for answer in &mut answers {
        answer.output().await?;
    }
    assert_eq!((gate.most_inside(), slots.free()), (2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_only_when_the_task_of_a_spawned_stream_is_gone() -> TestResult {
    /// Answers from a task that never ends.
    struct Spawns(Slots, Arc<()>);

    #[async_trait]
    impl ModelWorker for Spawns {
        async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
            let held = self.1.clone();
            Ok(TokenStream::spawn(1, async move |mut out| {
                let _held = held;
                out.text("a").await;
                std::future::pending().await
            }))
        }

        fn slots(&self) -> Option<Slots> {
            Some(self.0.clone())
        }
    }

    for (delivery, stage) in both_deliveries() {
        let (slots, held) = (slots(1), Arc::new(()));
        let pipeline = streaming(Spawns(slots.clone(), held.clone()), stage)?;
        let mut answer = pipeline.submit("?".into()).await?;
        answer.next().await.expect("a token")?;
        assert_eq!((slots.free(), Arc::strong_count(&held)), (0, 3), "the worker has one, its task another");
        drop(answer);
        until("the slot is free", || {
            let free = slots.free() == 1;
            assert!(!free || Arc::strong_count(&held) == 2, "{delivery}: the task is still there");
            free
        })
        .await;
    }
    Ok(())
}
