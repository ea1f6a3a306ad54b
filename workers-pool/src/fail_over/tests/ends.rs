use std::num::NonZeroUsize;

use futures_util::FutureExt;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Slots;
use tokio::time::Instant;

use super::model::{Fault, Model};
use super::*;
use crate::{FailOver, Pace, Retry};

const WORDS: &[&str] = &["to ", "be ", "or ", "not"];

fn cut(after: usize) -> Fault {
    Fault::After(after, None)
}

#[tokio::test(start_paused = true)]
async fn where_both_die_one_error_names_both() {
    let filtered = Fault::Call(error(WorkerErrorKind::ContentFilter));
    let model = Model::new(WORDS).of_many(&["m", "m"]).faults([cut(2), filtered]);
    let read = ask(&FailOver::new(model), plain()).await;
    let told = read.error();
    assert_eq!(told.kind(), WorkerErrorKind::StreamCut);
    assert!(told.message().contains("box 0 failed") && told.message().contains("box 1 failed"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_anything_is_told_as_it_was_last() {
    let filtered = Fault::Call(error(WorkerErrorKind::ContentFilter));
    let model = Model::new(WORDS).of_many(&["m", "m"]).faults([cut(0), filtered]);
    let read = ask(&FailOver::new(model), plain()).await;
    assert_eq!(read.error().kind(), WorkerErrorKind::ContentFilter);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_helped_is_told_at_once_as_it_is() {
    use WorkerErrorKind as K;
    let full = K::ContextLength { prompt_tokens: None, limit: None };
    for kind in [K::InvalidRequest, K::ContentFilter, K::Timeout(Phase::Total), full] {
        for fault in [Fault::Call(error(kind)), Fault::After(2, Some(error(kind)))] {
            let model = Model::new(WORDS).faults([fault]);
            let read = ask(&FailOver::new(model.clone()).resets(true), plain()).await;
            assert_eq!((read.error().kind(), read.error().message(), model.calls()), (kind, "scripted", 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_dies_again_and_again_has_six_attempts() {
    let model = Model::new(WORDS).faults(std::iter::repeat_n(cut(0), 20));
    let read = ask(&FailOver::new(model.clone()), plain()).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::StreamCut, 6));
    assert_eq!(read.error().message().matches("box failed").count(), 6);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_behind_the_deadline() {
    let model = Model::new(WORDS).faults([cut(2), cut(1)]);
    let options = RequestOptions::new().deadline(Instant::now() + Duration::from_millis(100));
    let asked = InferenceRequest::new("?".into(), Context::standalone(options));
    asked.attempts.push(orchestrator_core::worker::Attempt::new("x", None, &stalled(), Duration::ZERO));
    let read = ask(&FailOver::new(model.clone()), asked).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::StreamCut, 1));
}

#[tokio::test(start_paused = true)]
async fn the_dead_stream_is_gone_before_the_next_call() {
    let one = Slots::new(NonZeroUsize::MIN);
    let model = Model::new(WORDS).with_slots(one.clone()).faults([cut(2), cut(1)]);
    let worker = FailOver::new(Bound(model.clone(), one.clone()));
    let read = ask(&worker, plain()).await;
    assert_eq!((read.text, model.calls(), one.free()), (model.text(), 3, 1));
}

/// Takes a slot for each call and has its stream keep it, as a pool does.
struct Bound(Model, Slots);

#[async_trait]
impl ModelWorker for Bound {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let slot = self.1.try_acquire().expect("the stream before is gone");
        Ok(self.0.infer(request).await?.keep(slot))
    }

    fn info(&self) -> WorkerInfo {
        self.0.info()
    }
}

#[tokio::test(start_paused = true)]
async fn the_slot_of_an_answer_is_kept_until_the_task_of_its_second_stream_is_gone() {
    let slots = Slots::new(NonZeroUsize::MIN);
    let over = FailOver::new(Tasks(Model::new(WORDS).faults([cut(2)])));
    let stream = over.infer(plain()).await.expect("a stream");
    let mut stream = stream.keep(slots.try_acquire().expect("free"));
    for word in WORDS {
        assert_eq!(stream.next().await.expect("a word").expect("no error").text(), *word);
        assert_eq!(slots.free(), 0, "also when the first task has gone");
    }
    drop(stream);
    assert_eq!(slots.free(), 0, "the second task is aborted, and not gone yet");
    drop(slots.acquire().await);
}

/// Each stream of it is a task's.
struct Tasks(Model);

#[async_trait]
impl ModelWorker for Tasks {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let mut stream = self.0.infer(request).await?;
        Ok(TokenStream::spawn(1, async move |mut out| {
            while let Some(event) = stream.next().await {
                out.emit(event?).await;
            }
            std::future::pending().await
        }))
    }

    fn info(&self) -> WorkerInfo {
        self.0.info()
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_what_any_worker_owes() {
    let slots = Slots::new(NonZeroUsize::new(2).expect("not zero"));
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let worker = MockWorker::with(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
        0 => Script::answering("to be").cut_after(0),
        _ => Script::answering("to be"),
    });
    let worker = worker.slots(slots);
    let probe = worker.clone();
    let pace = Pace::new().backoff(Duration::ZERO, Duration::ZERO);
    let over = FailOver::new(worker).pace(pace);
    orchestrator_core::testing::conformance::check(over).in_flight(move || probe.stats().live).run().await.assert();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_in_a_pause_stops_everything() {
    let worker = MockWorker::new(Script::new().streaming().fail(stalled()));
    let over = FailOver::new(worker.clone());
    let mut stream = over.infer(plain()).await.expect("a stream");
    assert!(stream.next().now_or_never().is_none(), "it pauses");
    drop(stream);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((worker.stats().calls, worker.stats().live), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_leaves_in_the_second_call_stops_everything() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let worker = MockWorker::with(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => Script::answering("to be").cut_after(0),
        _ => Script::new().hang(),
    });
    let over = FailOver::new(worker.clone());
    let mut stream = over.infer(plain()).await.expect("a stream");
    let waited = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
    assert!(waited.is_err(), "the second call says nothing");
    assert_eq!((worker.stats().calls, worker.stats().live), (2, 1));
    drop(stream);
    assert_eq!(worker.stats().live, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_behind_the_end() {
    let model = Model::new(WORDS).faults([cut(2)]);
    let mut stream = FailOver::new(model).infer(plain()).await.expect("a stream");
    while !stream.next().await.expect("an end").expect("no error").is_terminal() {}
    assert!(stream.next().await.is_none());
}

#[test]
fn it_is_what_it_stands_around() {
    let two = Slots::new(NonZeroUsize::new(2).expect("not zero"));
    let model = Model::new(WORDS).with_slots(two);
    let over = FailOver::new(model.clone());
    assert_eq!(over.info(), model.info());
    assert_eq!(over.slots().expect("slots").total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_context_ends_an_answer_that_has_begun_whoever_else_is_there() {
    let full = error(WorkerErrorKind::ContextLength { prompt_tokens: None, limit: None });
    for (events, calls) in [(0, 2), (2, 1)] {
        let model = Model::new(WORDS).of_many(&["m", "m"]).faults([Fault::After(events, Some(full.clone()))]);
        ask(&FailOver::new(model.clone()).resets(true), plain()).await;
        assert_eq!(model.calls(), calls, "behind {events} events");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_once_with_a_retry_inside() {
    let refusal = || Fault::Call(error(WorkerErrorKind::Overloaded));
    let model = Model::new(WORDS).faults([refusal(), cut(2), refusal(), cut(1)]);
    let read = ask(&FailOver::new(Retry::new(model.clone())), plain()).await;
    assert_eq!((read.text.as_str(), model.calls()), (model.text().as_str(), 5));
    let failed = &read.finish().origin.as_ref().expect("who it was").failed;
    assert_eq!(failed.iter().map(|attempt| attempt.begun).collect::<Vec<_>>(), [false, true, false, true]);

    let model = Model::new(WORDS).faults(std::iter::repeat_n(refusal(), 20));
    let read = ask(&FailOver::new(Retry::new(model.clone())), plain()).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::Overloaded, 6));
    assert_eq!(read.error().message().matches("box failed").count(), 6);
}

#[tokio::test(start_paused = true)]
async fn calls_that_go_to_nobody_else_have_a_budget() {
    let model = Model::new(WORDS).faults(std::iter::repeat_n(cut(2), 1_000));
    let worker = FailOver::new(model.clone()).pace(Pace::new().attempts(2).backoff(Duration::ZERO, Duration::ZERO));
    for _ in 0..200 {
        ask(&worker, plain()).await;
    }
    // Ten a second over ten seconds, and one for five requests.
    assert_eq!(model.calls(), 200 + 100 + 40);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_a_note_in_the_report() {
    let asked = plain();
    let context = asked.context.clone();
    ask(&FailOver::new(Model::new(WORDS).faults([cut(2)])), asked).await;
    let notes = context.report().notes;
    assert!(notes.len() == 1 && notes[0].text.starts_with("attempt 1: box failed after "), "{notes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_by_what_the_answer_broke_off() {
    let refusal = |kind| Fault::Call(error(kind));
    let faults = [refusal(WorkerErrorKind::Overloaded), cut(2), refusal(WorkerErrorKind::Auth)];
    let read = ask(&FailOver::new(Model::new(WORDS).faults(faults)), plain()).await;
    assert_eq!((read.text.as_str(), read.error().kind()), ("to be ", WorkerErrorKind::StreamCut));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_has_given_up_is_not_undone() {
    let model = Model::new(WORDS).faults(std::iter::repeat_n(Fault::Call(error(WorkerErrorKind::Transient)), 20));
    let retry = Retry::new(model.clone()).pace(Pace::new().attempts(2));
    let read = ask(&FailOver::new(retry), plain()).await;
    assert_eq!((read.error().kind(), model.calls()), (WorkerErrorKind::Transient, 2));
}

#[tokio::test(start_paused = true)]
async fn behind_the_first_text_the_limits_are_its_own() {
    let model = Model::new(WORDS).faults([cut(2), Fault::Call(error(WorkerErrorKind::Transient)), cut(1)]);
    let retry = Retry::new(model.clone()).pace(Pace::new().attempts(1));
    let read = ask(&FailOver::new(retry), plain()).await;
    assert_eq!((read.text, model.calls()), (model.text(), 4));
}

#[tokio::test(start_paused = true)]
async fn budgets_do_not_add_up() {
    let model = Model::new(WORDS).faults(std::iter::repeat_n(Fault::Call(error(WorkerErrorKind::Transient)), 3_000));
    let over = FailOver::new(Retry::new(model.clone()));
    futures_util::future::join_all((0..1_000).map(|_| ask(&over, plain()))).await;
    // Ten a second over ten seconds, and one for five requests.
    assert!((1_295..=1_305).contains(&model.calls()), "{}", model.calls());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_not_paid_for() {
    let model = Model::new(WORDS).faults(std::iter::repeat_n(cut(2), 1_000));
    let over = FailOver::new(model.clone()).pace(Pace::new().attempts(2).backoff(Duration::ZERO, Duration::ZERO));
    for _ in 0..200 {
        ask(&over, request(PromptRequest::new("?").vendor("grammar", "x"))).await;
    }
    assert_eq!(model.calls(), 200, "an answer with a grammar is not gone on with");
    ask(&over, plain()).await;
    assert_eq!(model.calls(), 202, "the budget is there for whom it can help");
}
