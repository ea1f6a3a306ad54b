use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{WorkerError, WorkerErrorKind};
use crate::testing::conformance::{ConformanceReport, Verdict, check};
use crate::testing::{MockWorker, Script};
use crate::token::{FinishReason, TokenEvent, TokenStream, Usage};
use crate::worker::{InferenceRequest, ModelWorker, Slots, WorkerInfo};

/// A worker made of what its call and its slots do.
struct Made<F> {
    infer: F,
    info: WorkerInfo,
    slots: fn() -> Option<Slots>,
}

#[async_trait]
impl<F> ModelWorker for Made<F>
where
    F: Fn(InferenceRequest) -> Result<TokenStream, WorkerError> + Send + Sync + 'static,
{
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        (self.infer)(request)
    }

    fn info(&self) -> WorkerInfo {
        self.info.clone()
    }

    fn slots(&self) -> Option<Slots> {
        (self.slots)()
    }
}

fn made<F>(infer: F) -> Made<F>
where
    F: Fn(InferenceRequest) -> Result<TokenStream, WorkerError> + Send + Sync + 'static,
{
    Made { infer, info: WorkerInfo::new("made"), slots: || None }
}

fn answer(events: &[TokenEvent]) -> Result<TokenStream, WorkerError> {
    let events: Vec<_> = events.iter().cloned().map(Ok).collect();
    Ok(TokenStream::from_stream(futures_util::stream::iter(events)))
}

fn text() -> TokenEvent {
    TokenEvent::text_delta("text")
}

fn end() -> TokenEvent {
    TokenEvent::finish(FinishReason::Stop, Usage::new(1, 1))
}

fn two() -> Option<Slots> {
    NonZeroUsize::new(2).map(Slots::new)
}

fn verdict<'a>(report: &'a ConformanceReport, check: &str) -> &'a Verdict {
    let finding = report.findings().iter().find(|finding| finding.check == check);
    &finding.expect("a check of that name").verdict
}

#[tokio::test]
async fn the_scripted_worker_conforms() {
    let worker = MockWorker::new(Script::new().yields().streaming().text("one ").yields().text("two").finish());
    let worker = worker.slots(two().expect("slots"));
    let probe = worker.clone();
    let report = check(worker).in_flight(move || probe.stats().live).run().await;
    report.assert();
    let left_out: Vec<_> = report.findings().iter().filter(|f| f.verdict != Verdict::Passed).collect();
    assert_eq!(left_out.len(), 1, "{report}");
    assert_eq!(left_out[0].check, "a begun answer is gone on with");
}

#[tokio::test]
async fn what_cannot_be_seen_is_left_out() {
    let report = check(MockWorker::new(Script::tokens(2))).run().await;
    report.assert();
    for left_out in ["dropping the stream stops the work", "dropping the call stops the work", "slots are honoured"] {
        assert!(matches!(verdict(&report, left_out), Verdict::LeftOut(_)), "{report}");
    }
}

#[tokio::test]
async fn bad_ends_are_found() {
    let cases = [
        (vec![text()], "an answer ends with one terminal event"),
        (vec![text(), end(), end()], "nothing comes behind the terminal event"),
        (vec![text(), end(), text()], "nothing comes behind the terminal event"),
        (vec![text(), TokenEvent::finish(FinishReason::Stop, Usage::new(1, 0))], "the usage is there"),
    ];
    for (events, expected) in cases {
        let report = check(made(move |_| answer(&events))).run().await;
        assert!(report.failed().contains(&expected), "{expected}\n{report}");
    }
}

#[tokio::test]
#[should_panic(expected = "FAILED   info() has a name: the name is empty")]
async fn a_worker_without_a_name_is_found_and_the_panic_says_so() {
    let worker = Made { info: WorkerInfo::default().model("m"), ..made(|_| answer(&[text(), end()])) };
    check(worker).run().await.assert();
}

#[tokio::test(start_paused = true)]
async fn a_detached_task_is_found() {
    let working = Arc::new(());
    let probe = working.clone();
    let worker = made(move |_| {
        let working = working.clone();
        tokio::spawn(async move {
            let _working = working;
            std::future::pending::<()>().await;
        });
        answer(&[text(), end()])
    });
    // Of two, one is the probe and one the worker's own.
    let report = check(worker).in_flight(move || Arc::strong_count(&probe) - 2).run().await;
    assert_eq!(report.failed(), ["dropping the stream stops the work", "dropping the call stops the work"], "{report}");
}

#[tokio::test]
async fn slots_of_every_call_are_found() {
    let worker = Made { slots: two, ..made(|_| answer(&[text(), end()])) };
    assert_eq!(check(worker).run().await.failed(), ["slots are honoured", "slots are one object"]);
}

#[tokio::test(start_paused = true)]
async fn slots_that_nobody_else_can_use_are_found() {
    let slots = two().expect("slots");
    let taken = slots.try_acquire();
    let report = check(MockWorker::new(Script::tokens(1)).slots(slots)).run().await;
    drop(taken);
    assert_eq!(report.failed(), ["slots are honoured"], "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_sees_nothing_is_found() {
    let hanging = Script::new().streaming().text("one ").hang();
    let report = check(MockWorker::new(hanging)).in_flight(|| 0).run().await;
    assert!(report.failed().contains(&"dropping the stream stops the work"), "{report}");
    assert!(matches!(verdict(&report, "dropping the call stops the work"), Verdict::LeftOut(_)), "{report}");
}

#[tokio::test]
async fn what_a_worker_says_of_begun_answers_is_held_against_it() {
    const CHECK: &str = "a begun answer is gone on with";
    let saying = |say: fn(&str) -> String| {
        let worker = made(move |request: InferenceRequest| {
            let begun = request.prefix.map(|prefix| prefix.text).unwrap_or_default();
            answer(&[TokenEvent::text_delta(say(&begun)), end()])
        });
        Made { info: WorkerInfo::new("saying").continues(), ..worker }
    };
    let again = check(saying(|begun| format!("{begun} text"))).run().await;
    assert_eq!(again.failed(), [CHECK]);
    let from_the_beginning = check(saying(|_| "text".to_owned())).run().await;
    assert_eq!(from_the_beginning.failed(), [CHECK]);
    let report = check(saying(|begun| format!("behind {} letters", begun.len()))).run().await;
    assert_eq!(*verdict(&report, CHECK), Verdict::Passed);

    let refusing = made(|request: InferenceRequest| match request.prefix {
        Some(_) => Err(WorkerError::new(WorkerErrorKind::InvalidRequest, "cannot go on")),
        None => answer(&[text(), end()]),
    });
    let refusing = Made { info: WorkerInfo::new("refusing").continues(), ..refusing };
    assert_eq!(check(refusing).run().await.failed(), [CHECK]);
}
