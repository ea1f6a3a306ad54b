//! Connections on which nothing comes, or too slowly.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use hub_rig::{CHAT, Raw, Rig, chat, count, get, many_connections, millis, post, status, until};
use orchestrator_config::file::Limits;
use orchestrator_core::testing::{MockWorker, Script};
use tokio::time::Instant;

/// Limits of which none passes.
fn patient() -> Limits {
    Limits { header_time: millis(60_000), body_time: millis(60_000), idle_time: millis(60_000), ..Limits::default() }
}

async fn rig(limits: Limits) -> Rig {
    Rig::of(MockWorker::new(Script::answering("to be")), limits).await
}

#[tokio::test]
async fn headers_that_do_not_come_end_in_a_408() {
    let rig = rig(Limits { header_time: millis(200), ..patient() }).await;
    let whole = get("/healthz");
    for sent in 1..whole.len() {
        if sent % 9 != 1 {
            continue;
        }
        let started = Instant::now();
        let mut slow = Raw::connect(rig.address).await;
        slow.send(&whole[..sent]).await;
        assert_eq!(status(&slow.rest().await), 408, "{:?}", &whole[..sent]);
        assert!(started.elapsed() >= Duration::from_millis(200));
    }
}

#[tokio::test]
async fn headers_that_come_drop_by_drop_have_one_time_for_all_of_them() {
    let rig = rig(Limits { header_time: millis(300), ..patient() }).await;
    let mut slow = Raw::connect(rig.address).await;
    slow.send("GET /healthz HTTP/1.1\r\nhost: test\r\n").await;
    let started = Instant::now();
    while slow.is_quiet(Duration::from_millis(20)).await {
        slow.send("x: y\r\n").await;
        assert!(started.elapsed() < Duration::from_secs(10), "it is never too slow");
    }
    assert_eq!(status(&slow.rest().await), 408);
}

#[tokio::test]
async fn the_headers_of_a_second_request_have_their_own_time() {
    let rig = rig(Limits { header_time: millis(200), ..patient() }).await;
    let mut kept = Raw::connect(rig.address).await;
    kept.send(get("/healthz")).await;
    assert_eq!(status(&kept.head().await), 200);
    assert!(kept.is_quiet(Duration::from_millis(300)).await);
    let started = Instant::now();
    kept.send("GET /healthz HTTP/1.1\r\nho").await;
    assert_eq!(status(&kept.rest().await), 408);
    assert!((200..10_000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_time_for_headers_is_not_that_between_requests() {
    let rig = rig(Limits { header_time: millis(1_000), idle_time: millis(6_000), ..patient() }).await;
    let mut idle = Raw::connect(rig.address).await;
    for _ in 0..2 {
        idle.send(get("/healthz")).await;
        assert_eq!(status(&idle.head().await), 200);
        assert!(idle.is_quiet(Duration::from_secs(2)).await, "twice the time for headers is no reason to go");
    }
    let started = Instant::now();
    assert_eq!(idle.rest().await, "", "it is closed without a word");
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_connection_may_be_idle() {
    let script = Script::new().delay(Duration::from_secs(4)).text("late").finish();
    let limits = Limits { header_time: millis(2_000), idle_time: millis(2_000), ..patient() };
    let rig = Rig::of(MockWorker::new(script), limits).await;
    let mut waits = Raw::connect(rig.address).await;
    waits.send(post(CHAT, &chat(false))).await;
    let answer = waits.head().await;
    assert!(answer.contains("late"), "{answer}");
    assert_eq!(waits.rest().await, "", "and then it is idle");
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_in_a_408() {
    let rig = rig(Limits { body_time: millis(200), ..patient() }).await;
    let whole = post(CHAT, &chat(false));
    let mut slow = Raw::connect(rig.address).await;
    slow.send(&whole[..whole.len() - 1]).await;
    let answer = slow.rest().await;
    assert_eq!(status(&answer), 408);
    assert!(answer.contains("connection: close") && answer.contains("took too long"), "{answer}");
}

/// A connection on which nothing was ever asked, or something was.
async fn idle(rig: &Rig, number: usize) -> Raw {
    let mut connection = Raw::connect(rig.address).await;
    if number.is_multiple_of(2) {
        connection.send(get("/healthz")).await;
        assert_eq!(status(&connection.head().await), 200);
    }
    connection
}

#[tokio::test]
async fn thousands_of_idle_connections_are_held() {
    const CONNECTIONS: usize = 5_000;
    const AT_ONCE: usize = 64;
    many_connections();
    let rig = rig(Limits { header_time: millis(1_000), ..patient() }).await;
    let opening = stream::iter(0..CONNECTIONS).map(|number| idle(&rig, number));
    let mut held: Vec<Raw> = opening.buffer_unordered(AT_ONCE).collect().await;
    let quiet = join_all(held.iter_mut().map(|one| one.is_quiet(Duration::from_millis(1_500)))).await;
    assert!(quiet.into_iter().all(|is_quiet| is_quiet));
    idle(&rig, 0).await;
}

#[tokio::test]
async fn idle_connections_are_closed_when_their_time_is_over() {
    let rig = rig(Limits { idle_time: millis(2_000), ..patient() }).await;
    let started = Instant::now();
    let mut closed = join_all((0..8).map(|number| idle(&rig, number))).await;
    for connection in &mut closed {
        assert_eq!(connection.rest().await, "", "without a word");
    }
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn who_finds_no_room_is_told_so_and_room_comes_back() {
    let rig = rig(Limits { connections: count(2), ..patient() }).await;
    let mut there = Vec::new();
    for _ in 0..2 {
        let mut one = Raw::connect(rig.address).await;
        one.send(get("/healthz")).await;
        assert_eq!(status(&one.head().await), 200);
        there.push(one);
    }
    let refused = Raw::connect(rig.address).await.rest().await;
    assert_eq!(status(&refused), 503);
    assert!(refused.contains("retry-after: 1"), "{refused}");

    there.pop();
    let mut answered = 0;
    while answered != 200 {
        let mut again = Raw::connect(rig.address).await;
        again.send(get("/healthz")).await;
        answered = status(&again.head().await);
    }
    until("nothing is left of it", || rig.in_flight() == 0).await;
}
