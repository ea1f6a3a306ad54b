//! Clients that do not read what they are sent.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use orchestrator_config::file::Limits;
use orchestrator_core::prelude::*;
use orchestrator_core::worker::{Slots, WorkerInfo};
use tokio::time::{Instant, timeout};

use crate::http2::Http2;
use crate::raw::{PATIENCE, Raw, post};
use crate::rig::{CHAT, Rig, ask, chat, count, json_of, many_connections, millis, until};

/// A worker whose answers have no end where a client sets `max_tokens`, and are short, after 50 ms, where it does not.
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

    /// Waits until it says nothing more, as nobody takes it.
    async fn stands_still(&self) {
        let mut before = u64::MAX;
        while before != self.events.load(Relaxed) {
            before = self.events.load(Relaxed);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
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
            tokio::time::sleep(Duration::from_millis(50)).await;
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
        let answered = json_of(ask(&client, &rig, false).await.expect("an answer")).await;
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

/// How long short answers take, the slowest of a hundred left out; the best of three times, as the machine has others to serve.
async fn p99(client: &reqwest::Client, rig: &Rig) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(p99_once(client, rig).await);
    }
    best
}

async fn p99_once(client: &reqwest::Client, rig: &Rig) -> Duration {
    const REQUESTS: usize = 400;
    let one = async |_| {
        let started = Instant::now();
        let answered = json_of(ask(client, rig, false).await.expect("an answer")).await;
        assert_eq!(answered["choices"][0]["message"]["content"], "to be");
        started.elapsed()
    };
    let mut took: Vec<Duration> = stream::iter(0..REQUESTS).map(one).buffer_unordered(8).collect().await;
    took.sort_unstable();
    took[REQUESTS * 99 / 100]
}

/// Bytes of this process that are in memory.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number");
    pages * rustix::param::page_size()
}

/// A model that takes 50 ms for a short answer and has no limit of its own, and a thousand clients that read nothing.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_unread_streams_take_little_memory_and_no_time_of_others() {
    const UNREAD: usize = 1_000;
    const EACH: usize = 160 * 1024;
    many_connections();
    let worker = Flood::new(None);
    let rig = Rig::of(worker.clone(), Limits { reader_stall: millis(60_000), ..Limits::default() }).await;
    let client = reqwest::Client::new();
    let (alone, before) = (p99(&client, &rig).await, memory());
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        let mut one = Raw::narrow(rig.address).await;
        one.send(post(CHAT, &endless_chat())).await;
        unread.push(one);
    }
    until("all are there", || rig.in_flight() == UNREAD as u64).await;
    worker.stands_still().await;
    let beside = p99(&client, &rig).await;
    let taken = memory().saturating_sub(before) / UNREAD;
    println!("p99 alone {alone:?}, beside them {beside:?}; {taken} bytes each");
    assert_eq!(rig.in_flight(), UNREAD as u64, "they are still there");
    assert!(beside.as_secs_f64() <= 1.5 * alone.as_secs_f64(), "p99 {alone:?} alone, {beside:?} beside them");
    assert!(taken <= EACH, "{taken} bytes each");
    drop(unread);
    until("nothing is left of them", || rig.in_flight() == 0).await;
}
