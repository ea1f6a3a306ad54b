//! What a report says of a request: times, the terminal event that was delivered, and what stages noted.

use std::time::Duration;

use futures_util::StreamExt;
use prompt_orchestrator::error::WorkerErrorKind;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use prompt_orchestrator::token::{Check, Finish, Verdict};

use crate::common::{TestResult, assert_balanced, both_deliveries, prompts, settle};

const MS: Duration = Duration::from_millis(1);

/// Asserts that a time is what the script took: no less, but for the microsecond to which reports are exact, and no more
/// than the 1 ms to which each of Tokio's timers is.
#[track_caller]
fn assert_took(time: Option<Duration>, expected: u32) {
    let time = time.expect("it was measured");
    let least = (expected * MS).saturating_sub(Duration::from_micros(2));
    assert!(time >= least && time <= (expected + 4) * MS, "{time:?} is not {expected} ms");
}

#[tokio::test(start_paused = true)]
async fn a_report_says_where_the_time_went() -> TestResult {
    for (delivery, stage) in both_deliveries() {
        let script = Script::new().delay(50 * MS).streaming().delay(30 * MS).text("a").delay(20 * MS).text("b");
        let worker = MockWorker::new(script.delay(10 * MS).finish());
        let pipeline = prompts("report")
            .then("slow", |_cx, prompt: PromptRequest| async move {
                tokio::time::sleep(40 * MS).await;
                Ok::<_, BoxError>(prompt)
            })
            .stage_with(InferenceStage::new(worker), StageConfig::new().concurrency(1))
            .stage(stage)
            .build()?;
        let mut first = pipeline.submit("?".into()).await?;
        let mut second = pipeline.submit("?".into()).await?;
        settle().await;
        let early = first.report();
        assert_eq!((early.stages[0].run, early.stages[1].wait, early.first_token), (None, None, None));

        first.text().await?;
        let report = first.report();
        let names: Vec<_> = report.stages.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["slow", "infer", "stream"], "{delivery}");
        assert_took(report.stages[0].wait, 0);
        assert_took(report.stages[0].run, 40);
        assert_took(report.stages[1].wait, 0);
        assert_took(report.stages[1].run, 50);
        assert_eq!(report.stages[2].wait, None, "an inline stage has no queue");
        assert_took(report.stages[2].run, 0);
        assert_took(report.first_token, 120);
        assert_took(report.last_event, 150);
        let finish = report.finish.expect("it has ended");
        assert_eq!((finish.reason, finish.usage), (FinishReason::Stop, Usage::new(1, 2)));
        assert_eq!(finish.origin.expect("somebody answered").worker, "mock");
        assert_eq!(report.id, first.context().id());

        // The second one waited for the first one's slot in the stage, from 40 to 150 ms.
        second.text().await?;
        let report = second.report();
        assert_took(report.stages[0].run, 40);
        assert_took(report.stages[1].wait, 110);
        assert_took(report.first_token, 230);
        assert_took(report.last_event, 260);

        let stats = pipeline.stats();
        assert_eq!(stats.usage, Usage::new(2, 4));
        assert_eq!((stats.first_token.count, stats.stages[1].run.count, stats.stages[1].wait.count), (2, 2, 2));
        assert_took(Some(stats.stages[1].run.sum), 100);
        assert_balanced(&stats);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_report_shows_the_terminal_event_that_the_caller_was_given() -> TestResult {
    for (delivery, stream) in both_deliveries() {
        let pipeline = prompts("rewritten")
            .stage(InferenceStage::new(MockWorker::new(Script::answering("a b"))))
            .then("cut", |_cx, stream: TokenStream| async move {
                Ok::<_, BoxError>(TokenStream::from_stream(stream.map(|event| match event? {
                    TokenEvent::Finish(finish) => {
                        let mut finish = Finish::new(FinishReason::Length, finish.usage);
                        finish.checks.push(Check::new("length", Verdict::Passed));
                        Ok(TokenEvent::Finish(finish))
                    }
                    event => Ok(event),
                })))
            })
            .stage(stream)
            .build()?;
        let mut answer = pipeline.submit("?".into()).await?;
        assert_eq!(answer.text().await?, "a b", "{delivery}");
        let report = answer.report();
        assert!(report.to_string().ends_with("finish reason length\ncheck length: passed"), "{report}");
        let finish = report.finish.ok_or("it has ended")?;
        assert_eq!((finish.reason, finish.usage.completion_tokens), (FinishReason::Length, 2));
        assert_eq!(finish.checks, [Check::new("length", Verdict::Passed)]);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_stages_note_stands_in_the_report_in_their_names() -> TestResult {
    let pipeline = Pipeline::<String, _>::builder("noted")
        .then("first", |cx: Context, text: String| async move {
            cx.note("one");
            Ok::<_, BoxError>(text)
        })
        .then("second", |cx: Context, text: String| async move {
            cx.note(format!("two of {text}"));
            Ok::<_, BoxError>(text)
        })
        .build()?;
    let mut answer = pipeline.submit("three".to_owned()).await?;
    answer.output().await?;
    let report = answer.report();
    assert!(report.to_string().ends_with("\nfirst: one\nsecond: two of three"), "{report}");
    let notes: Vec<_> = report.notes.iter().map(|note| (note.stage.as_str(), note.text.as_str())).collect();
    assert_eq!(notes, [("first", "one"), ("second", "two of three")]);

    let mut other = pipeline.submit("four".to_owned()).await?;
    other.output().await?;
    assert_eq!(other.report().notes[1].text, "two of four", "each request has its own");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stage_can_read_what_the_request_took_so_far() -> TestResult {
    let pipeline = prompts("report")
        .then("slow", |_cx, prompt: PromptRequest| async move {
            tokio::time::sleep(7 * MS).await;
            Ok::<_, BoxError>(prompt)
        })
        .then("reads", |cx, _prompt: PromptRequest| async move { Ok::<_, BoxError>(cx.report()) })
        .build()?;
    let report = pipeline.submit("?".into()).await?.output().await?;
    assert_took(report.stages[0].run, 7);
    assert_eq!(report.stages[1].run, None, "it runs");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_inference_stages_the_last_one_is_reported_and_blamed() -> TestResult {
    let rewriter = MockWorker::new(Script::new().delay(5 * MS).streaming().text("rewritten question").finish());
    let worker = MockWorker::with(|request| match &*request.question() {
        "rewritten question" => Script::new().delay(10 * MS).streaming().text("a ").text("b ").text("c").finish(),
        other => Script::answering(other),
    });
    let build = |worker| {
        prompts("two")
            .stage(InferenceStage::new(rewriter.clone()))
            .then("ask", |cx, mut stream: TokenStream| async move {
                let mut text = String::new();
                while let Some(event) = stream.next().await {
                    text.push_str(event?.text());
                }
                Ok::<_, BoxError>(InferenceRequest::new(PromptRequest::new(text), cx))
            })
            .stage(InferenceStage::new(worker))
            .stage(StreamStage::default())
            .build()
    };
    let pipeline = build(worker)?;
    let mut answer = pipeline.submit("?".into()).await?;
    assert_eq!(answer.text().await?, "a b c");
    let report = answer.report();
    assert_eq!(report.finish.ok_or("it has ended")?.usage.completion_tokens, 3);
    assert_took(report.first_token, 15);
    // Both were used.
    assert_eq!(pipeline.stats().usage.completion_tokens, 3 + 1);

    // Of a stream without a single event nothing is told, although the first stage's had some.
    let overloaded = WorkerError::new(WorkerErrorKind::Overloaded, "full");
    let fails = build(MockWorker::new(Script::new().streaming().fail(overloaded)))?;
    let mut answer = fails.submit("?".into()).await?;
    assert!(answer.text().await.is_err());
    let report = answer.report();
    assert_eq!((report.first_token, report.last_event, report.finish), (None, None, None));

    let cut = build(MockWorker::new(Script::answering("a b").cut_after(1)))?;
    let error = cut.submit("?".into()).await?.text().await.expect_err("the stream was cut");
    assert_eq!(error.stage(), Some("infer-2"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn of_two_inference_stages_the_first_one_is_not_reported_while_the_last_one_streams() -> TestResult {
    let pipeline = prompts("two")
        .stage(InferenceStage::new(MockWorker::new(Script::answering("rewritten question"))))
        .then("ask", |cx, mut stream: TokenStream| async move {
            while let Some(event) = stream.next().await {
                event?;
            }
            Ok::<_, BoxError>(InferenceRequest::new("again".into(), cx))
        })
        .stage(InferenceStage::new(MockWorker::new(Script::new().streaming().delay(10 * MS).text("a").hang())))
        .stage(StreamStage::default())
        .build()?;
    let mut answer = pipeline.submit("?".into()).await?;
    settle().await;
    let report = answer.report();
    assert_eq!((report.first_token, report.last_event, report.finish), (None, None, None));
    answer.next().await.ok_or("a token")??;
    let report = answer.report();
    assert_took(report.first_token, 10);
    assert_eq!(report.finish, None, "it has not ended");
    Ok(())
}
