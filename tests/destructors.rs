//! A destructor of the user's that panics costs its own request at most, never the pipeline.

use std::num::NonZeroUsize;
use std::sync::Arc;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::sync::Notify;

/// Panics when it is dropped.
struct Spiteful;

impl Drop for Spiteful {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor that panics");
    }
}

/// A stage that waits for ever with a [`Spiteful`] in its hands for the number 0, and hands on all others.
fn pipeline(config: StageConfig, inside: &Arc<Notify>) -> Pipeline<u64, u64> {
    let inside = inside.clone();
    Pipeline::builder("spiteful")
        .then_with("wait", config, move |_cx, number: u64| {
            let inside = inside.clone();
            async move {
                if number == 0 {
                    let _held = Spiteful;
                    inside.notify_one();
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(number)
            }
        })
        .build()
        .expect("the plan is sound")
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_in_a_cancelled_run_leaves_the_stage_alive() {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned(), StageConfig::new().ordered()] {
        let inside = Arc::new(Notify::new());
        let pipeline = pipeline(config.concurrency(1), &inside);
        for _ in 0..3 {
            let answer = pipeline.submit(0).await.expect("let in");
            inside.notified().await;
            drop(answer);
            let mut next = pipeline.submit(7).await.expect("the pipeline goes on");
            assert_eq!(next.output().await.expect("answered"), 7);
        }
        assert_eq!((pipeline.stats().cancelled, pipeline.stats().answered), (3, 3));
    }
}

impl Input for Package {}

/// An input whose destructor panics.
struct Package(Spiteful);

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_in_a_queue_leaves_the_pipeline_alive() {
    let gate = Arc::new(Notify::new());
    let open = gate.clone();
    let pipeline = Pipeline::builder("queue")
        .then_with("gate", StageConfig::new().concurrency(1).depth(4), move |_cx, input: Package| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                std::mem::forget(input);
                Ok::<_, BoxError>(())
            }
        })
        .build()
        .expect("the plan is sound");
    let mut first = pipeline.submit(Package(Spiteful)).await.expect("let in");
    let late = RequestOptions::new().within(std::time::Duration::from_millis(10));
    let mut queued = pipeline.submit_with(Package(Spiteful), late).await.expect("let in");
    assert!(queued.output().await.expect_err("its deadline passes in the queue").is_shed());
    open.notify_one();
    first.output().await.expect("answered");
    open.notify_one();
    let mut next = pipeline.submit(Package(Spiteful)).await.expect("the pipeline goes on");
    next.output().await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_in_a_batch_does_not_keep_back_what_came_before() {
    /// An input that is dropped with a panic if it has something spiteful in it.
    struct Parcel {
        _spite: Option<Spiteful>,
    }

    impl Input for Parcel {}

    let second = Arc::new(std::sync::Mutex::new(None::<Answer<()>>));
    let taken = second.clone();
    let pipeline = Pipeline::builder("spiteful")
        .then("first", move |_cx, parcel: Parcel| {
            // The second of the batch has left the queue; cancelled now, it is dropped where its run would start.
            drop(taken.lock().expect("not poisoned").take());
            async move { Ok::<_, BoxError>(parcel) }
        })
        .then("second", |_cx, _: Parcel| async move { Ok::<_, BoxError>(()) })
        .build()
        .expect("the plan is sound");
    let mut first = pipeline.submit(Parcel { _spite: None }).await.expect("let in");
    let spiteful = pipeline.submit(Parcel { _spite: Some(Spiteful) }).await.expect("let in");
    *second.lock().expect("not poisoned") = Some(spiteful);
    let answered = tokio::time::timeout(std::time::Duration::from_secs(1), first.output()).await;
    answered.expect("it is handed on without another request").expect("answered");
    assert_eq!(pipeline.stats().cancelled, 1);
}

#[tokio::test]
async fn a_result_whose_destructor_panics_does_not_take_a_cpu_thread_with_it() {
    let cx = Context::standalone(RequestOptions::new());
    let (started, go) = (Arc::new(Notify::new()), Arc::new(std::sync::Barrier::new(2)));
    let job = {
        let (started, go) = (started.clone(), go.clone());
        cx.offload(move || {
            started.notify_one();
            go.wait();
            Spiteful
        })
    };
    let job = tokio::spawn(job);
    started.notified().await;
    job.abort();
    drop(job.await);
    go.wait();
    assert_eq!(cx.offload(|| 7).await.expect("the pool goes on"), 7);
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_slots_cannot_be_placed_where_they_would_not_hold() {
    let slots = Slots::new(NonZeroUsize::new(4).expect("not zero"));
    let worker = MockWorker::new(Script::tokens(1)).slots(slots);
    let error = Pipeline::builder("inline")
        .then("pass", |_cx, prompt: PromptRequest| async move { Ok::<_, BoxError>(prompt) })
        .stage_with(InferenceStage::new(worker), StageConfig::new().inline())
        .build()
        .expect_err("an inline stage has no queue to wait for a slot in");
    assert_eq!(error.faults().iter().map(|f| f.field()).collect::<Vec<_>>(), ["slots"]);
}

#[tokio::test(start_paused = true)]
async fn how_an_inner_pipeline_ends_a_request_is_not_how_the_outer_one_does() {
    let inner = Pipeline::builder("inner")
        .then("refuse", |_cx, text: String| async move { Ok::<_, BoxError>(text) })
        .build()
        .expect("the plan is sound");
    inner.drain(std::time::Duration::ZERO).await;
    let outer = Pipeline::builder("outer")
        .then("call", move |_cx, text: String| {
            let inner = inner.clone();
            async move { inner.submit(text).await?.output().await }
        })
        .build()
        .expect("the plan is sound");
    let mut answer = outer.submit("?".to_owned()).await.expect("let in");
    let error = answer.output().await.expect_err("the inner one takes nothing");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Stage, Some("call")));
    assert!(!error.is_refused());
}

/// Panics when it is dropped, whatever else panics.
struct Ruthless;

impl Drop for Ruthless {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

/// Its stream panics with a [`Ruthless`] in its hands, for the question "panic".
struct Traps;

#[async_trait]
impl ModelWorker for Traps {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.question() != "panic" {
            return MockWorker::new(Script::answering("fine")).infer(request).await;
        }
        let held = Ruthless;
        Ok(TokenStream::from_stream(futures_util::stream::poll_fn(move |_| {
            let _held = &held;
            panic!("boom")
        })))
    }
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_behind_a_panic_is_one_requests_error() {
    for config in [StageConfig::new().queued(), StageConfig::new().spawned(), StageConfig::new().inline()] {
        let pipeline = Pipeline::<PromptRequest, _>::builder("twice")
            .stage(InferenceStage::new(Traps))
            .then_with("read", config, |_cx, mut stream: TokenStream| async move {
                let mut text = String::new();
                while let Some(event) = stream.next().await {
                    text.push_str(event?.text());
                }
                Ok::<_, WorkerError>(text)
            })
            .build()
            .expect("the plan is sound");
        let mut broken = pipeline.submit("panic".into()).await.expect("let in");
        let error = broken.output().await.expect_err("it panics");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("infer")));
        assert!(error.to_string().contains("boom"), "{error}");
        let mut next = pipeline.submit("?".into()).await.expect("the pipeline goes on");
        assert_eq!(next.output().await.expect("answered"), "fine");
    }
}
