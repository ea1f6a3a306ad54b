//! Readers who leave, and deadlines, in each phase of an answer: nothing of it is left at the servers.

use std::time::Duration;

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::server::{Outcome, ScriptedServer, Seen};
use tokio::time::{Instant, advance};

use crate::common::{assert_balanced, settle, until};
use crate::fleet::{Actor, Fleet, Limits, SLOTS};
use crate::scripted::actor;
use crate::story::{Act, Begun, word};
use crate::wire::{ROUTE, called, server, worker};

/// Where an answer stands when its reader leaves.
#[derive(Debug, Clone, Copy)]
struct Phase {
    name: &'static str,
    primary: &'static [Act],
    fallback: &'static [Act],
    /// How many words the reader has by then.
    words: usize,
    /// How many requests the two servers have seen by then.
    asked: [usize; 2],
}

const PHASES: [Phase; 4] = [
    Phase { name: "a call", primary: &[Act::Silent], fallback: &[Act::Answers], words: 0, asked: [1, 0] },
    Phase { name: "a stream", primary: &[Act::StallsAfter(20)], fallback: &[Act::Answers], words: 20, asked: [1, 0] },
    Phase { name: "a call elsewhere", primary: &[Act::Resets], fallback: &[Act::Silent], words: 0, asked: [1, 1] },
    Phase {
        name: "a stream elsewhere",
        primary: &[Act::Status(500)],
        fallback: &[Act::StallsAfter(5)],
        words: 5,
        asked: [1, 1],
    },
];

/// Nothing of these passes while a test runs.
fn patient_limits() -> Limits {
    Limits { first_token: Duration::from_secs(60), between_tokens: Duration::from_secs(60), ..Limits::in_life() }
}

/// Reads until the phase is there.
async fn reach(phase: &Phase, servers: &[ScriptedServer; 2], answer: &mut Answer<Tokens>) {
    for place in 0..phase.words {
        let event = answer.next().await.expect("a word").expect("no error");
        assert_eq!(event.text(), word(place), "{}", phase.name);
    }
    for (server, asked) in servers.iter().zip(phase.asked) {
        server.wait_for("the calls", |seen| called(seen).len() == asked).await;
    }
}

#[tokio::test]
async fn a_reader_who_leaves_closes_the_connection_in_every_phase() {
    for phase in PHASES {
        let servers = [server(phase.primary).await, server(phase.fallback).await];
        let [primary, fallback] =
            [("primary", &servers[0]), ("fallback", &servers[1])].map(|(name, server)| worker(name, server, 8_192));
        let fleet = Fleet::of(primary, fallback, patient_limits());
        let mut answer = fleet.pipeline.submit("?".into()).await.expect("nobody else is there");
        reach(&phase, &servers, &mut answer).await;
        drop(answer);
        for (server, asked) in servers.iter().zip(phase.asked) {
            let seen = server.wait_for("the end of all calls", Seen::is_idle).await;
            assert_eq!(called(&seen).len(), asked, "{}", phase.name);
        }
        let last = if phase.asked[1] > 0 { &servers[1] } else { &servers[0] };
        let outcome = last.seen().on(ROUTE).last().and_then(|exchange| exchange.outcome);
        assert_eq!(outcome, Some(Outcome::ClientLeft), "{}", phase.name);
        until("all slots are free", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
        assert_balanced(&fleet.pipeline.stats());
    }
}

/// Both refuse: the third attempt may only begin 1.5 s after the first.
fn refusing() -> (Actor, Actor, Fleet) {
    let [primary, fallback] = ["primary", "fallback"].map(|name| actor(name, &[Act::Status(500)], 8_192));
    let fleet = Fleet::of(primary.clone(), fallback.clone(), Limits::in_life());
    (primary, fallback, fleet)
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_in_a_pause_is_not_asked_for_again() {
    let (primary, fallback, fleet) = refusing();
    let answer = fleet.pipeline.submit("?".into()).await.expect("nobody else is there");
    until("both are asked", || primary.called().len() + fallback.called().len() == 2).await;
    settle().await;
    drop(answer);
    until("all slots are free", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
    advance(Duration::from_secs(60)).await;
    settle().await;
    assert_eq!((primary.called().len(), fallback.called().len()), (1, 1));
    assert_balanced(&fleet.pipeline.stats());
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_the_line_for_a_slot_takes_none() {
    let primary = actor("primary", &[Act::CutAfter(0), Act::CutAfter(0), Act::Silent], 8_192);
    let fallback = actor("fallback", &[Act::Silent], 8_192);
    let fleet = Fleet::of(primary.clone(), fallback.clone(), patient_limits());
    let mut answers = Vec::new();
    for _ in 0..2 * SLOTS {
        answers.push(fleet.pipeline.submit("?".into()).await.expect("callers wait"));
        settle().await;
    }
    let calls = || (primary.called().len(), fallback.called().len());
    assert_eq!(calls(), (2 + SLOTS, SLOTS), "two were sent on");
    let waits = fleet.pipeline.submit("?".into()).await.expect("callers wait");
    settle().await;
    drop(waits);
    drop(answers);
    until("all slots are free", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
    assert_eq!(calls(), (2 + SLOTS, SLOTS), "nobody asked for who had left");
    assert_balanced(&fleet.pipeline.stats());
}

/// The first attempt fails, and those who hold all slots of the other member stay: the second attempt waits in line there.
#[tokio::test(start_paused = true)]
async fn a_reader_who_leaves_a_second_attempt_in_line_takes_no_slot() {
    let primary = actor("primary", &[Act::Status(500)], 8_192);
    let fallback = actor("fallback", &[Act::Silent], 8_192).begun(Begun::GoesOn);
    let fleet = Fleet::of(primary.clone(), fallback.clone(), patient_limits());
    let hold = ModelWorker::slots(&fallback).expect("it has some");
    let held: Vec<_> = (0..SLOTS).map(|_| hold.try_acquire().expect("they are free")).collect();
    let answer = fleet.pipeline.submit("?".into()).await.expect("nobody else is there");
    settle().await;
    assert_eq!((primary.called().len(), fallback.called().len()), (1, 0), "it waits in line");
    drop(answer);
    settle().await;
    drop(held);
    until("all slots are free", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
    assert_eq!((primary.called().len(), fallback.called().len()), (1, 0));
    assert_balanced(&fleet.pipeline.stats());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_every_phase_to_the_millisecond() {
    const BUDGET: Duration = Duration::from_secs(3);
    for phase in PHASES {
        let [primary, fallback] =
            [("primary", phase.primary), ("fallback", phase.fallback)].map(|(name, acts)| actor(name, acts, 8_192));
        let fleet = Fleet::of(primary.clone(), fallback.clone(), patient_limits());
        let started = Instant::now();
        let prompt = PromptRequest::new("?").within(BUDGET);
        let mut answer = fleet.pipeline.submit(prompt).await.expect("nobody else is there");
        let error = answer.text().await.expect_err("it is never answered");
        assert_eq!(error.kind(), ErrorKind::Deadline, "{}", phase.name);
        let passed = started.elapsed();
        assert!(passed >= BUDGET && passed <= BUDGET + Duration::from_millis(2), "{}: {passed:?}", phase.name);
        until("all slots are free", || fleet.is_idle() && fleet.pipeline.stats().in_flight == 0).await;
        assert_eq!((primary.stats().live, fallback.stats().live), (0, 0), "{}", phase.name);
        assert_eq!([primary.called().len(), fallback.called().len()], phase.asked, "{}", phase.name);
        assert_balanced(&fleet.pipeline.stats());
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_waited_for_that_could_only_begin_behind_the_deadline() {
    let (primary, fallback, fleet) = refusing();
    let started = Instant::now();
    let prompt = PromptRequest::new("?").within(Duration::from_secs(1));
    let mut answer = fleet.pipeline.submit(prompt).await.expect("nobody else is there");
    let error = answer.text().await.expect_err("both refuse");
    assert_eq!(error.worker_error().map(WorkerError::kind), Some(WorkerErrorKind::Transient));
    assert!(started.elapsed() < Duration::from_millis(10), "it is told at once, and not at the deadline");
    assert_eq!((primary.called().len(), fallback.called().len()), (1, 1));
}
