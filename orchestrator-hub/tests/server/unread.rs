//! Clients that do not read what they are sent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hub_rig::{CHAT, PATIENCE, Raw, Rig, ask, chat, count, json, many_connections, millis, post, until};
use orchestrator_config::file::Limits;
use orchestrator_core::prelude::*;
use orchestrator_core::worker::{Slots, WorkerInfo};
use tokio::time::{Instant, timeout};

use crate::http2::Http2;

/// A worker whose answers have no end where a client sets `max_tokens`, and are short where it does not.
#[derive(Clone)]
pub(crate) struct Flood {
    slots: Option<Slots>,
    events: Arc<AtomicU64>,
}

impl Flood {
    /// It has no slots, or so many.
    pub(crate) fn new(slots: Option<usize>) -> Self {
        Self { slots: slots.map(|slots| Slots::new(count(slots))), events: Arc::default() }
    }
}

#[async_trait]
impl ModelWorker for Flood {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let events = self.events.clone();
        let is_endless = request.sampling.max_tokens.is_some();
        Ok(TokenStream::generate(async move |mut out| {
            let word = TokenEvent::text_delta("word ".repeat(800));
            if is_endless {
                loop {
                    out.emit(word.clone()).await;
                    events.fetch_add(1, Relaxed);
                }
            }
            out.emit(TokenEvent::text_delta("to be")).await;
            out.emit(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 2))).await;
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("flood")
    }

    fn slots(&self) -> Option<Slots> {
        self.slots.clone()
    }
}

/// What a client asks that gets the endless one.
pub(crate) fn endless_chat() -> String {
    chat(true).replacen('{', "{\"max_tokens\":9,", 1)
}

#[tokio::test]
async fn who_reads_nothing_loses_its_slot_and_others_are_answered() {
    const SLOTS: usize = 4;
    let worker = Flood::new(Some(SLOTS));
    let rig = Rig::of(worker.clone(), Limits { reader_stall: millis(700), ..Limits::default() }).await;
    let mut stalled = Vec::new();
    for _ in 0..SLOTS {
        let mut one = Raw::narrow(rig.address).await;
        one.send(post(CHAT, &endless_chat())).await;
        stalled.push(one);
    }
    let slots = worker.slots.as_ref().expect("it has some");
    until("all slots are taken", || slots.free() == 0).await;
    let client = reqwest::Client::new();
    for _ in 0..2 * SLOTS {
        let answered = json(ask(&client, &rig, false).await.expect("an answer")).await;
        assert_eq!(answered["choices"][0]["message"]["content"], "to be");
    }
    until("nothing is left of the others", || rig.in_flight() == 0 && slots.free() == SLOTS).await;
    for one in &mut stalled {
        let got = one.rest().await;
        assert!(!got.contains("[DONE]") && !got.contains("\"finish_reason\":\"stop\""), "a cut answer looks whole");
    }
}

#[tokio::test]
async fn a_stream_over_http2_that_is_not_read_is_reset_and_its_connection_stays() {
    let rig = Rig::of(Flood::new(None), Limits { reader_stall: millis(500), ..Limits::default() }).await;
    let client = Http2::connect(rig.address).await;
    let unread = client.ask(endless_chat()).await.expect("it begins").into_body();
    until("nothing is left of it", || rig.in_flight() == 0).await;
    let answered = client.ask(chat(false)).await.expect("the others of its connection are answered");
    assert_eq!(answered.status().as_u16(), 200);
    let read = timeout(PATIENCE, unread.collect()).await.expect("it has an end");
    assert!(read.is_err(), "a stream that was cut looks whole");
}

/// How long short answers take, the slowest of a hundred left out.
async fn p99(client: &reqwest::Client, rig: &Rig) -> Duration {
    const REQUESTS: usize = 600;
    let one = async |_| {
        let started = Instant::now();
        let answered = json(ask(client, rig, false).await.expect("an answer")).await;
        assert_eq!(answered["choices"][0]["message"]["content"], "to be");
        started.elapsed()
    };
    let mut took: Vec<Duration> = stream::iter(0..REQUESTS).map(one).buffer_unordered(8).collect().await;
    took.sort_unstable();
    took[REQUESTS * 99 / 100]
}

/// The same, beside endless answers of which nothing more is taken from the beginning to the end.
async fn p99_beside(client: &reqwest::Client, rig: &Rig, worker: &Flood) -> Duration {
    loop {
        let before = worker.events.load(Relaxed);
        let took = p99(client, rig).await;
        if before == worker.events.load(Relaxed) {
            return took;
        }
    }
}

/// Clients that read nothing of their endless answers.
async fn unread(rig: &Rig) -> Vec<Raw> {
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        let mut one = Raw::narrow(rig.address).await;
        one.send(post(CHAT, &endless_chat())).await;
        unread.push(one);
    }
    until("all are there", || rig.in_flight() == UNREAD as u64).await;
    unread
}

fn median<T: Copy + Ord>(mut of: Vec<T>) -> T {
    of.sort_unstable();
    of[of.len() / 2]
}

/// Bytes of this process that are in memory.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number");
    pages * rustix::param::page_size()
}

const UNREAD: usize = 1_000;

/// Rounds with a thousand clients that read nothing, and without. What is less than `NOTHING` in the slowest of a hundred is
/// not told from what else a machine does that tests share.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_unread_streams_take_little_memory_and_no_time_of_others() {
    const ROUNDS: usize = 3;
    const EACH: usize = 160 * 1024;
    const NOTHING: Duration = Duration::from_millis(10);
    many_connections();
    let worker = Flood::new(None);
    let rig = Rig::of(worker.clone(), Limits { reader_stall: millis(600_000), ..Limits::default() }).await;
    let client = reqwest::Client::new();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    p99(&client, &rig).await;
    let before = memory();
    let mut taken = 0;
    for _ in 0..ROUNDS {
        alone.push(p99(&client, &rig).await);
        let unread = unread(&rig).await;
        beside.push(p99_beside(&client, &rig, &worker).await);
        taken = taken.max(memory().saturating_sub(before) / UNREAD);
        assert_eq!(rig.in_flight(), UNREAD as u64, "they are still there");
        drop(unread);
        until("nothing is left of them", || rig.in_flight() == 0).await;
    }
    println!("p99 alone {alone:?}, beside them {beside:?}; {taken} bytes each");
    assert!(median(beside) <= median(alone).max(NOTHING).mul_f64(1.5), "they take time of others");
    assert!(taken <= EACH, "{taken} bytes each");
    rig.end().await;
}
