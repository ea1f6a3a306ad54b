//! The kit finds what it is there to find: a worker that conforms passes, and each flaw fails the check that is named for it.

mod any;
mod chat;
mod wire;

use std::sync::Arc;

use chat::{Chat, Flaw};
use tokio::sync::Semaphore;

use crate::testing::conformance::{ConformanceReport, Dialect, Suite, Verdict};

/// The name of the check of a stream without `[DONE]`.
const NO_MARKER: &str = "the end without the marker is what the dialect says";

/// Holds the hand-written chat worker, which insists on the marker, to the contract, with a flaw in it.
async fn suite(flaw: Flaw) -> ConformanceReport {
    suite_of(dialect(), flaw).await
}

fn dialect() -> Dialect {
    Dialect::openai_chat().marker_optional(false).slots(3)
}

async fn suite_of(dialect: Dialect, flaw: Flaw) -> ConformanceReport {
    // Shared by all workers, as a queue of the process would be.
    let queue = Arc::new(Semaphore::new(1));
    let make = move |target| {
        let queue = queue.clone();
        async move { Chat::new(target, flaw, queue) }
    };
    Suite::new(dialect, make).run().await
}

/// The checks that failed are at least `expected`.
fn assert_found(report: &ConformanceReport, expected: &[&str]) {
    let failed = report.failed();
    for check in expected {
        assert!(failed.contains(check), "not found: {check}\n{report}");
    }
}

#[tokio::test]
async fn a_worker_that_conforms_passes_every_check() {
    let report = suite(Flaw::None).await;
    report.assert();
    let passed = report.findings().iter().filter(|finding| finding.verdict == Verdict::Passed).count();
    assert_eq!(passed, report.findings().len(), "{report}");
    assert!(passed > 40, "{report}");
    assert!(report.to_string().starts_with("conformance of `chat`: 0 of "), "{report}");
}

#[tokio::test]
async fn a_stream_without_its_terminal_event_is_found() {
    assert_found(&suite(Flaw::NoTerminal).await, &["an answer is read as it was sent"]);
}

#[tokio::test]
async fn a_second_terminal_event_is_found() {
    assert_eq!(suite(Flaw::TwoTerminals).await.failed(), ["nothing comes behind the terminal event"]);
}

#[tokio::test]
async fn a_usage_of_nothing_is_found() {
    assert_eq!(suite(Flaw::NoUsage).await.failed(), ["the usage is the server's"]);
}

#[tokio::test]
async fn a_detached_task_is_found() {
    let found = ["leaving reaches the server: before the first token", "leaving reaches the server: in the middle"];
    assert_found(&suite(Flaw::Detached).await, &found);
}

#[tokio::test]
async fn a_call_that_goes_on_when_it_is_dropped_is_found() {
    assert_found(&suite(Flaw::DetachedCall).await, &["leaving reaches the server: before the head"]);
}

#[tokio::test]
async fn a_task_that_outlives_its_worker_is_found() {
    assert_eq!(suite(Flaw::LeavesTask).await.failed(), ["no connection and no task is left behind"]);
}

#[tokio::test]
async fn a_key_in_an_error_or_behind_it_is_found() {
    for flaw in [Flaw::KeyInError, Flaw::KeyInSource, Flaw::KeyInEvent] {
        assert_eq!(suite(flaw).await.failed(), ["errors hold no secret"], "{flaw:?}");
    }
}

#[tokio::test]
async fn a_key_in_an_error_of_any_check_is_found() {
    assert_found(&suite(Flaw::KeyInBegun).await, &["errors hold no secret"]);
}

#[tokio::test]
async fn a_key_in_an_event_is_found() {
    assert_eq!(suite(Flaw::KeyInTrace).await.failed(), ["spans and events hold no secret"]);
}

#[tokio::test]
async fn a_queue_in_the_worker_is_found() {
    assert_eq!(suite(Flaw::Queues).await.failed(), ["calls do not queue in the worker"]);
}

#[tokio::test]
async fn slots_of_every_call_are_found() {
    assert_eq!(suite(Flaw::ManySlots).await.failed(), ["slots are one object", "slots are honoured"]);
}

#[tokio::test]
async fn a_server_that_sees_more_calls_than_slots_is_found() {
    for flaw in [Flaw::OwnSlots, Flaw::AsksTwice] {
        assert_found(&suite(flaw).await, &["slots are honoured"]);
    }
}

#[tokio::test]
async fn more_slots_than_the_server_has_are_found() {
    assert_eq!(suite_of(dialect().slots(2), Flaw::None).await.failed(), ["slots are honoured"]);
}

#[tokio::test]
async fn a_begun_answer_that_is_begun_anew_is_found() {
    assert_eq!(suite(Flaw::FromTheBeginning).await.failed(), ["a begun answer is gone on with"]);
}

#[tokio::test]
async fn reading_ahead_without_bound_is_found() {
    assert_eq!(suite(Flaw::Unbounded).await.failed(), ["a slow reader holds the server back"]);
}

#[tokio::test]
async fn wrong_kinds_are_found() {
    let found = [
        "told for what it is: no HTTP",
        "told for what it is: an event without end",
        "a refusal keeps kind, status and body: 401",
        "a refusal keeps kind, status and body: context length",
        "a limit ends the wait for the whole answer",
    ];
    assert_found(&suite(Flaw::WrongKinds).await, &found);
}

#[tokio::test]
async fn a_cut_answer_that_looks_whole_is_found() {
    let found = ["told for what it is: a cut between events", NO_MARKER];
    assert_found(&suite(Flaw::LooksWhole).await, &found);
}

#[tokio::test]
async fn a_worker_that_insists_on_a_marker_that_is_optional_is_found() {
    assert_eq!(suite_of(Dialect::openai_chat(), Flaw::None).await.failed(), [NO_MARKER]);
}

#[tokio::test]
async fn a_lost_pause_is_found() {
    let found =
        ["a refusal keeps kind, status and body: 429, seconds", "a refusal keeps kind, status and body: 429, date"];
    assert_eq!(suite(Flaw::NoPause).await.failed(), found);
}
