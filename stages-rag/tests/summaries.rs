//! Older turns that a model condenses instead of their being dropped.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use stages_rag::{MemoryLimits, SessionKey, SessionMemory, SessionStore, Turn};

/// Room for eight turns of a session; from the seventh on there is too much.
const ROOM: usize = 8 * TURN;
const TURN: usize = 400;

fn limits() -> MemoryLimits {
    MemoryLimits::new().session_bytes(ROOM)
}

fn key(session: &str) -> SessionKey {
    SessionKey::new(None, session)
}

/// A turn of [`TURN`] bytes, as the memory counts them.
fn turn(number: usize) -> Turn {
    let question = format!("question {number}");
    let answer = "x".repeat(TURN - 128 - question.len());
    Turn::new([Message::user(question), Message::assistant(answer)])
}

async fn add(memory: &SessionMemory, session: &str, turns: std::ops::Range<usize>) {
    for number in turns {
        memory.append(&key(session), turn(number)).await.expect("in memory");
    }
}

/// The first message of each turn, and the answer of the first turn.
async fn kept(memory: &SessionMemory, session: &str) -> (Vec<String>, String) {
    let turns = memory.turns(&key(session)).await.expect("in memory");
    let answer = turns.first().map(|turn| turn.messages()[1].text().into_owned()).unwrap_or_default();
    (turns.iter().map(|turn| turn.messages()[0].text().into_owned()).collect(), answer)
}

/// Lets everything run that can: the clock is paused, so this takes no time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn after(time: Duration, text: &str) -> Script {
    Script::new().delay(time).streaming().text(text).finish()
}

#[tokio::test(start_paused = true)]
async fn older_turns_are_condensed_into_one_before_the_session_is_full() {
    let asked: Arc<Mutex<Vec<InferenceRequest>>> = Arc::default();
    let seen = asked.clone();
    let worker = MockWorker::with(move |request| {
        seen.lock().expect("not poisoned").push(request.clone());
        after(Duration::from_secs(5), " They spoke. ")
    });
    let memory = SessionMemory::summarised_by(worker, limits()).expect("above zero");
    add(&memory, "s", 0..6).await;
    settle().await;
    assert!(asked.lock().expect("not poisoned").is_empty(), "three quarters are not too much");

    add(&memory, "s", 6..7).await;
    settle().await;
    {
        let asked = asked.lock().expect("not poisoned");
        let prompt = asked[0].question().into_owned();
        assert_eq!(asked[0].context.priority(), Priority::Low);
        assert!(prompt.contains("\n\nUser: question 0\n\nAssistant: xxx"), "{prompt}");
        assert!(prompt.contains("User: question 3\n") && !prompt.contains("question 4"), "{prompt}");
        assert!(asked[0].sampling.max_tokens.is_some());
    }
    // Until the summary is there, the turns are.
    assert_eq!(kept(&memory, "s").await.0.len(), 7);
    add(&memory, "s", 7..8).await;
    tokio::time::sleep(Duration::from_secs(6)).await;

    let (questions, summary) = kept(&memory, "s").await;
    let rest = ["question 4", "question 5", "question 6", "question 7"];
    assert_eq!(questions[0], "Summarise our conversation so far.");
    assert_eq!(questions[1..], rest);
    assert_eq!(summary, "They spoke.");
    assert_eq!(asked.lock().expect("not poisoned").len(), 1, "one at a time");
    let stats = memory.stats();
    assert_eq!((stats.summaries, stats.summaries_failed, stats.turns, stats.turns_dropped), (1, 0, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_summary_is_condensed_again_with_what_follows_it() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    let worker = MockWorker::with(move |request| {
        let mut asked = seen.lock().expect("not poisoned");
        asked.push(request.question().into_owned());
        after(Duration::ZERO, &format!("Summary {}.", asked.len()))
    });
    let memory = SessionMemory::summarised_by(worker, limits()).expect("above zero");
    for number in 0..12 {
        add(&memory, "s", number..number + 1).await;
        settle().await;
    }
    let asked = asked.lock().expect("not poisoned").clone();
    assert!(asked.len() >= 2);
    assert!(asked[1].contains("Assistant: Summary 1."), "{}", asked[1]);
    assert_eq!(kept(&memory, "s").await.1, format!("Summary {}.", asked.len()));
    assert_eq!(memory.stats().turns_dropped, 0);
}

fn ending(reason: FinishReason) -> Script {
    let finish = orchestrator_core::token::Finish::new(reason, orchestrator_core::token::Usage::default());
    Script::new().streaming().text("They spoke").event(TokenEvent::Finish(finish))
}

#[tokio::test(start_paused = true)]
async fn a_summary_runs_on_its_sessions_account_and_may_be_cut_at_its_tokens() {
    let asked: Arc<Mutex<Vec<InferenceRequest>>> = Arc::default();
    let seen = asked.clone();
    let worker = MockWorker::with(move |request| {
        seen.lock().expect("not poisoned").push(request.clone());
        ending(FinishReason::Length)
    });
    let memory = SessionMemory::summarised_by(worker, limits()).expect("above zero");
    let acme = SessionKey::new(Some("acme".into()), "s");
    for number in 0..7 {
        memory.append(&acme, turn(number)).await.expect("in memory");
    }
    settle().await;
    assert_eq!(memory.stats().summaries, 1);
    let asked = asked.lock().expect("not poisoned");
    assert_eq!((asked[0].context.tenant(), asked[0].context.session()), (Some("acme"), Some("s")));
}

#[test]
fn a_summary_that_goes_with_its_runtime_has_failed() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let first = runtime();
    let memory = first.block_on(async {
        let worker = MockWorker::new(Script::new().hang());
        let memory = SessionMemory::summarised_by(worker, limits()).expect("above zero");
        add(&memory, "s", 0..7).await;
        tokio::task::yield_now().await;
        memory
    });
    assert_eq!(memory.stats().summaries_failed, 0);
    drop(first);
    assert_eq!(memory.stats().summaries_failed, 1);
    // The session is not held up by it: the next turns are tried when those are gone.
    runtime().block_on(add(&memory, "s", 7..13));
    assert!(memory.stats().summaries_failed > 1);
}

#[tokio::test(start_paused = true)]
async fn where_it_fails_the_turns_go_as_they_would_without() {
    let failing = [
        Script::new().fail(WorkerError::stream_cut()),
        Script::new().streaming().text("half a "),
        Script::new().streaming().text(" ").finish(),
        ending(FinishReason::ContentFilter),
        ending(FinishReason::ToolCalls),
        Script::new().panic("no"),
        // Longer than a summary may take.
        Script::new().hang(),
    ];
    for script in failing {
        let what = format!("{script:?}");
        let worker = MockWorker::new(script);
        let memory = SessionMemory::summarised_by(worker.clone(), limits()).expect("above zero");
        add(&memory, "s", 0..7).await;
        tokio::time::sleep(Duration::from_secs(121)).await;
        assert_eq!((memory.stats().summaries, memory.stats().summaries_failed), (0, 1), "{what}");
        assert_eq!(worker.stats().live, 0, "{what}");
        assert_eq!(memory.stats().turns, 7, "they stay as long as there is room");
        add(&memory, "s", 7..10).await;
        settle().await;
        assert_eq!(worker.stats().calls, 1, "the same turns are not tried again: {what}");
        assert_eq!((memory.stats().turns, memory.stats().turns_dropped), (8, 2));
        assert_eq!(kept(&memory, "s").await.0[0], "question 2");
        // Once those are gone, the next ones are tried.
        add(&memory, "s", 10..12).await;
        settle().await;
        assert_eq!(worker.stats().calls, 2, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_summary_without_end_is_cut_and_its_worker_stopped() {
    let endless =
        (0..2_000).fold(Script::new().streaming(), |script, _| script.text("ä ").delay(Duration::from_millis(1)));
    let worker = MockWorker::new(endless);
    let memory = SessionMemory::summarised_by(worker.clone(), limits()).expect("above zero");
    add(&memory, "s", 0..7).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (questions, summary) = kept(&memory, "s").await;
    assert_eq!(questions.len(), 4);
    assert!(summary.len() <= ROOM / 4 && summary.len() > ROOM / 4 - 4, "{}", summary.len());
    assert_eq!((worker.stats().live, worker.stats().cancelled), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn summaries_of_many_sessions_are_few_at_once_and_respect_the_workers_slots() {
    let slots = Slots::new(NonZeroUsize::new(1).expect("not zero"));
    let worker = MockWorker::new(after(Duration::from_secs(1), "Short.")).slots(slots.clone());
    let unlimited = MockWorker::new(after(Duration::from_secs(1), "Short."));
    let held = slots.try_acquire().expect("free");
    let memory = SessionMemory::summarised_by(worker.clone(), limits()).expect("above zero");
    let other = SessionMemory::summarised_by(unlimited.clone(), limits()).expect("above zero");
    for session in ["a", "b", "c", "d", "e"] {
        add(&memory, session, 0..7).await;
        add(&other, session, 0..7).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(worker.stats().calls, 0, "somebody else has the only slot");
    assert_eq!((unlimited.stats().calls, unlimited.stats().most_live), (5, 2));
    drop(held);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((worker.stats().calls, worker.stats().most_live), (5, 1));
    assert_eq!((memory.stats().summaries, other.stats().summaries), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_wait() {
    let worker = MockWorker::new(Script::new().hang());
    let memory = SessionMemory::summarised_by(worker.clone(), limits()).expect("above zero");
    for session in 0..100 {
        add(&memory, &session.to_string(), 0..7).await;
    }
    settle().await;
    // 64 wait, and two of them, or two more, are written.
    let refused = memory.stats().summaries_failed;
    assert!((34..=36).contains(&refused), "{refused}");
    assert_eq!(worker.stats().live, 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_memory_stops_the_work_behind_it() {
    let worker = MockWorker::new(Script::new().streaming().text("a").hang());
    let memory = SessionMemory::summarised_by(worker.clone(), limits()).expect("above zero");
    add(&memory, "s", 0..7).await;
    settle().await;
    assert_eq!(worker.stats().live, 1);
    drop(memory);
    settle().await;
    assert_eq!((worker.stats().live, worker.stats().cancelled), (0, 1));
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
