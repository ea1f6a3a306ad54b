//! A panic, wherever it happens, is one request's error: it names the stage, the next request is answered, and a counter
//! counts it.

mod common;

use common::{TestResult, assert_balanced, both_deliveries, placements, prompts, settle, slots, streaming, until};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

/// Where a stage panics for an odd number.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Before there is a future.
    Call,
    FirstPoll,
    AfterAnAwait,
    OffloadedJob,
    BlockingJob,
}

impl At {
    const ALL: [Self; 5] = [Self::Call, Self::FirstPoll, Self::AfterAnAwait, Self::OffloadedJob, Self::BlockingJob];
}

struct Panics(At);

impl Stage<u64> for Panics {
    type Out = u64;
    type Error = BoxError;

    fn run(&self, cx: &Context, number: u64) -> impl Future<Output = Result<u64, BoxError>> + Send {
        let at = self.0;
        let blow = move || assert!(number.is_multiple_of(2), "boom {number}");
        if matches!(at, At::Call) {
            blow();
        }
        let cx = cx.clone();
        async move {
            match at {
                At::Call => {}
                At::FirstPoll => blow(),
                At::AfterAnAwait => {
                    tokio::task::yield_now().await;
                    blow();
                }
                At::OffloadedJob => cx.offload(blow).await?,
                At::BlockingJob => cx.offload_blocking(blow).await?,
            }
            Ok(number)
        }
    }

    fn name(&self) -> &str {
        "panics"
    }
}

/// Asserts that every odd number panics in `stage`, every even one is answered, and all of it is counted.
async fn assert_odd_ones_fail(pipeline: &Pipeline<u64, u64>, stage: &str, what: &str) -> TestResult {
    let mut answers = Vec::new();
    for number in 0..6 {
        answers.push(pipeline.submit(number).await?);
    }
    for (answer, number) in answers.iter_mut().zip(0..) {
        match answer.output().await {
            Ok(output) => assert!(output == number && number % 2 == 0, "{what}: {number} gave {output}"),
            Err(error) => {
                assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some(stage)), "{what}");
                assert_eq!(error.to_string(), format!("stage `{stage}`: panicked: boom {number}"));
                assert_eq!(number % 2, 1, "{what}");
                assert!(!error.is_transient());
            }
        }
    }
    let stats = pipeline.stats();
    assert_eq!((stats.panics, stats.failed, stats.answered), (3, 3, 3), "{what}");
    assert_balanced(&stats);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_stage_is_one_requests_error() -> TestResult {
    for at in At::ALL {
        for (place, config) in placements() {
            // One at a time, so that a permit that is lost would be missed by the next request.
            let config = config.concurrency(1);
            let pipeline = Pipeline::builder("panics").stage_with(Panics(at), config).build()?;
            assert_odd_ones_fail(&pipeline, "panics", &format!("{at:?}, {place}")).await?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_inline_stage_names_the_inner_one() -> TestResult {
    for at in At::ALL {
        for (place, config) in placements() {
            let pipeline = Pipeline::builder("panics")
                .then_with("outer", config.concurrency(1), |_cx, number: u64| async move { Ok::<_, BoxError>(number) })
                .stage_with(Panics(at), StageConfig::new().inline())
                .then_with("innermost", StageConfig::new().inline(), |_cx, n: u64| async move { Ok::<_, BoxError>(n) })
                .build()?;
            assert_odd_ones_fail(&pipeline, "panics", &format!("{at:?}, inline behind {place}")).await?;
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_an_ordered_stage_holds_nobody_back() -> TestResult {
    for at in At::ALL {
        for (place, config) in placements() {
            let pipeline = Pipeline::builder("panics").stage_with(Panics(at), config.ordered()).build()?;
            assert_odd_ones_fail(&pipeline, "panics", &format!("{at:?}, ordered, {place}")).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_closure_that_panics_before_its_future_is_made_is_one_requests_error() -> TestResult {
    for (place, config) in placements() {
        let pipeline = Pipeline::builder("panics")
            .then_with("panics", config, |_cx, number: u64| {
                assert!(number.is_multiple_of(2), "boom {number}");
                async move { Ok::<_, BoxError>(number) }
            })
            .build()?;
        assert_odd_ones_fail(&pipeline, "panics", place).await?;
    }
    Ok(())
}

/// A worker that follows `script` for the question "panic" and answers any other one.
fn panics_when_asked(script: Script, slots: &Slots) -> MockWorker {
    let worker = MockWorker::with(move |request| match &*request.question() {
        "panic" => script.clone(),
        _ => Script::answering("fine"),
    });
    worker.slots(slots.clone())
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_infer_is_one_requests_error() -> TestResult {
    for script in [Script::new().panic("boom"), Script::new().yields().panic("boom")] {
        let slots = slots(1);
        let worker = panics_when_asked(script, &slots);
        let pipeline = streaming(worker.clone(), StreamStage::default())?;
        let error = pipeline.submit("panic".into()).await?.text().await.expect_err("it panics");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("infer")));
        assert_eq!(pipeline.submit("?".into()).await?.text().await?, "fine");
        assert_eq!((pipeline.stats().panics, slots.free(), worker.stats().live), (1, 1, 0));
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_workers_stream_is_an_error_of_the_infer_stage() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(1);
        let worker = panics_when_asked(Script::new().streaming().text("a").yields().panic("boom"), &slots);
        let pipeline = streaming(worker.clone(), stage)?;
        let mut answer = pipeline.submit("panic".into()).await?;
        assert_eq!(answer.next().await.expect("a token")?.text(), "a", "{delivery}");
        let error = answer.next().await.expect("an error").expect_err("it panics");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("infer")), "{delivery}");
        assert!(error.to_string().contains("boom"));
        assert!(answer.next().await.is_none(), "{delivery}");
        // The answer is still held; the slot is not.
        assert_eq!(slots.free(), 1, "{delivery}");
        assert_eq!(pipeline.submit("?".into()).await?.text().await?, "fine");
        assert_eq!((pipeline.stats().panics, worker.stats().live), (1, 0));
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

/// Hands on the stream it takes, and panics in it at the first token.
struct PanicsInTheStream;

impl Stage<TokenStream> for PanicsInTheStream {
    type Out = TokenStream;
    type Error = BoxError;

    async fn run(&self, cx: &Context, mut stream: TokenStream) -> Result<TokenStream, BoxError> {
        let adapted = TokenStream::generate(async move |mut out| {
            while let Some(event) = stream.next().await {
                let event = event?;
                assert_ne!(event.text(), "trap", "boom");
                out.emit(event).await;
            }
            Ok(())
        });
        Ok(TokenStream::in_stage(cx, adapted))
    }

    fn name(&self) -> &str {
        "filter"
    }

    fn defaults(&self) -> StageConfig {
        StageConfig::new().inline()
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_stream_of_one_of_two_stages_names_that_stage() -> TestResult {
    let fine = Script::new().streaming().text("a").text("trap").finish();
    let broken = Script::new().streaming().text("a").yields().panic("boom");
    for (script, blamed) in [(fine, "filter"), (broken, "infer")] {
        for (delivery, stage) in both_deliveries() {
            let slots = slots(1);
            let worker = panics_when_asked(script.clone(), &slots);
            let pipeline = prompts("filter")
                .stage(InferenceStage::new(worker.clone()))
                .stage(PanicsInTheStream)
                .stage(stage)
                .build()?;
            let mut answer = pipeline.submit("panic".into()).await?;
            let error = answer.text().await.expect_err("it panics");
            assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some(blamed)), "{delivery}");
            assert!(error.to_string().contains("boom"), "{error}");
            until("the slot is free", || slots.free() == 1).await;
            assert_eq!(pipeline.submit("?".into()).await?.text().await?, "fine");
            assert_eq!(pipeline.stats().panics, 1);
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

/// Reads the stream it takes to its end, and panics itself for a text that says so.
struct Reads;

impl Stage<TokenStream> for Reads {
    type Out = String;
    type Error = WorkerError;

    async fn run(&self, _cx: &Context, mut stream: TokenStream) -> Result<String, WorkerError> {
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            text.push_str(event?.text());
        }
        assert_ne!(text, "bait", "boom");
        Ok(text)
    }

    fn name(&self) -> &str {
        "read"
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_stream_names_its_stage_whoever_reads_it() -> TestResult {
    let broken = Script::new().streaming().text("a").yields().panic("boom");
    for (script, blamed) in [(broken, "infer"), (Script::answering("bait"), "read")] {
        for (place, config) in placements() {
            let slots = slots(1);
            let pipeline = prompts("read")
                .stage(InferenceStage::new(panics_when_asked(script.clone(), &slots)))
                .stage(PanicsInTheStream)
                .stage_with(Reads, config)
                .build()?;
            let error = pipeline.submit("panic".into()).await?.output().await.expect_err("it panics");
            assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some(blamed)), "{place}");
            assert!(error.to_string().contains("boom"), "{error}");
            until("the slot is free", || slots.free() == 1).await;
            assert_eq!(pipeline.submit("?".into()).await?.output().await?, "fine");
            assert_eq!(pipeline.stats().panics, 1);
            assert_balanced(&pipeline.stats());
        }
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_a_stage_got_over_blames_nobody_later() -> TestResult {
    let broken = || MockWorker::with(|_| Script::new().streaming().text("a").yields().panic("boom"));
    let pipeline = prompts("twice")
        .stage(InferenceStage::new(broken()))
        .then("get over", |_cx, mut stream: TokenStream| async move {
            let read = tokio::spawn(async move { while stream.next().await.is_some() {} });
            assert!(read.await.is_err_and(|ended| ended.is_panic()), "it meets the panic itself");
            Ok::<_, BoxError>(PromptRequest::from("again"))
        })
        .stage(InferenceStage::new(broken()))
        .stage(StreamStage::default())
        .build()?;
    let error = pipeline.submit("?".into()).await?.text().await.expect_err("it panics");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("infer-2")));
    Ok(())
}

/// Its stream is fed by a task of its own, which panics for the question "panic".
struct Spawns;

#[async_trait]
impl ModelWorker for Spawns {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let question = request.question().into_owned();
        Ok(TokenStream::spawn(2, async move |mut out| {
            out.text("fine").await;
            assert_ne!(question, "panic", "boom");
            out.finish(FinishReason::Stop, Usage::default()).await;
            Ok(())
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_spawned_streams_task_is_an_error_of_the_infer_stage() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let pipeline = streaming(Spawns, stage)?;
        let mut answer = pipeline.submit("panic".into()).await?;
        assert_eq!(answer.next().await.expect("a token")?.text(), "fine");
        let error = answer.next().await.expect("an error").expect_err("it panics");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("infer")), "{delivery}");
        assert!(error.to_string().contains("boom"));
        assert_eq!(pipeline.submit("?".into()).await?.text().await?, "fine");
        assert_eq!(pipeline.stats().panics, 1);
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_without_a_reader_is_counted_and_frees_the_slot() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let slots = slots(1);
        let worker = panics_when_asked(Script::new().streaming().text("a").panic("boom"), &slots);
        let pipeline = streaming(worker.clone(), stage)?;
        pipeline.submit("panic".into()).await?.detach();
        until("the slot is free", || slots.free() == 1 && worker.stats().calls == 1).await;
        settle().await;
        assert_eq!((pipeline.stats().panics, pipeline.stats().failed), (1, 1), "{delivery}");
        assert_balanced(&pipeline.stats());
    }
    Ok(())
}
