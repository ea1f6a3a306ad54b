use crate::error::WorkerError;
use crate::token::{Emitter, End, FinishReason, Observer, TokenEvent, TokenStream, Usage};
use futures_util::FutureExt;

async fn read(mut stream: TokenStream) -> String {
    let mut read = String::new();
    while let Some(event) = stream.next().await {
        match event.expect("no error") {
            TokenEvent::Finish(_) => read.push('.'),
            event => read.push_str(event.text()),
        }
    }
    read
}

async fn two_words(mut out: Emitter) -> Result<(), WorkerError> {
    out.text("to ").await;
    tokio::task::yield_now().await;
    out.text("be").await;
    out.finish(FinishReason::Stop, Usage::default()).await;
    Ok(())
}

#[tokio::test]
async fn generated_and_spawned_streams_hand_on_every_event() {
    assert_eq!(read(TokenStream::generate(two_words)).await, "to be.");
    assert_eq!(read(TokenStream::spawn(1, two_words)).await, "to be.");
}

#[tokio::test]
async fn an_event_is_handed_on_before_the_work_goes_on() {
    let mut stream = TokenStream::generate(async move |mut out| {
        out.text("first").await;
        std::future::pending::<()>().await;
        Ok(())
    });
    assert_eq!(stream.next().await.expect("one").expect("ok").text(), "first");
}

#[tokio::test]
async fn an_error_is_the_last_item() {
    let mut stream = TokenStream::generate(async |_out| Err(WorkerError::stream_cut()));
    assert!(stream.next().await.expect("one").is_err());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_event_is_not_lost_when_its_emitting_is_cancelled() {
    let stream = TokenStream::generate(async move |mut out| {
        assert!(futures_util::poll!(std::pin::pin!(out.text("a"))).is_pending());
        out.text("b").await;
        assert!(futures_util::poll!(std::pin::pin!(out.text("c"))).is_pending());
        Ok(())
    });
    assert_eq!(read(stream).await, "abc");
}

#[tokio::test]
async fn nothing_comes_after_the_terminal_event_or_an_error() {
    let text = || Ok(TokenEvent::text_delta("a"));
    let finish = Ok(TokenEvent::finish(FinishReason::Stop, Usage::default()));
    for last in [finish, Err(WorkerError::stream_cut())] {
        let mut stream = TokenStream::from_stream(futures_util::stream::iter([text(), last, text()]));
        assert!(stream.next().await.is_some() && stream.next().await.is_some());
        assert!(stream.next().await.is_none() && stream.next().await.is_none());
    }
}

#[tokio::test]
async fn a_panic_of_a_stream_in_its_stage_goes_on_to_its_reader() {
    let cx = crate::context::Context::standalone(crate::request::RequestOptions::new());
    let panics = futures_util::stream::poll_fn(|_| panic!("in the stream"));
    let mut stream = TokenStream::in_stage(&cx, panics);
    let read = tokio::spawn(async move { stream.next().await });
    assert!(read.await.expect_err("it does not look whole").is_panic());
}

#[tokio::test]
async fn an_emitter_may_live_in_another_task() {
    let stream = TokenStream::generate(async move |mut out| {
        tokio::spawn(async move {
            out.text("a").await;
            out.text("b").await;
        })
        .await
        .map_err(|_| WorkerError::stream_cut())
    });
    let all = tokio::time::timeout(std::time::Duration::from_secs(5), read(stream)).await;
    assert_eq!(all.expect("it does not hang"), "ab");
}

#[tokio::test]
async fn emitting_inside_a_select_of_the_works_own_is_woken() {
    let stream = TokenStream::generate(async move |mut out| {
        let mut inner = futures_util::stream::FuturesUnordered::new();
        inner.push(async move {
            out.text("a").await;
            out.text("b").await;
        });
        futures_util::StreamExt::next(&mut inner).await;
        Ok(())
    });
    assert_eq!(read(stream).await, "ab");
}

/// What an observer was told.
#[derive(Clone, Default)]
struct Told(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Told {
    fn add(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic").push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Observer for Told {
    fn begin(&mut self) {
        self.add("begin");
    }

    fn end(&mut self, end: End<'_>) {
        self.add(match end {
            End::Finished(finish) => {
                finish.usage.prompt_tokens += 1;
                "finished".to_owned()
            }
            End::Failed(error) => error.message().to_owned(),
            End::Dropped => "dropped".to_owned(),
        });
    }
}

fn of<const N: usize>(items: [Result<TokenEvent, WorkerError>; N]) -> TokenStream {
    TokenStream::from_stream(futures_util::stream::iter(items))
}

#[tokio::test]
async fn an_observer_is_told_of_the_beginning_and_of_every_kind_of_end() {
    let text = || Ok(TokenEvent::text_delta("a"));
    let finish = || Ok(TokenEvent::finish(FinishReason::Stop, Usage::default()));
    let failed = || Err(WorkerError::new(crate::error::WorkerErrorKind::Protocol, "broken"));
    for (stream, told) in [
        (of([text(), text(), finish()]), vec!["begin", "finished"]),
        (of([finish()]), vec!["finished"]),
        (of([text(), failed()]), vec!["begin", "broken"]),
        (of([text()]), vec!["begin", "the stream ended without its terminal event"]),
        (of([]), vec!["the stream ended without its terminal event"]),
    ] {
        let observer = Told::default();
        let mut stream = stream.observed(observer.clone()).observed(observer.clone());
        while stream.next().await.is_some() {}
        drop(stream);
        let twice: Vec<_> = told.into_iter().flat_map(|what| [what, what]).collect();
        assert_eq!(observer.all(), twice, "each of the two, once");
    }
}

#[tokio::test]
async fn an_observer_may_add_to_the_terminal_event() {
    let mut stream = of([Ok(TokenEvent::finish(FinishReason::Stop, Usage::default()))]).observed(Told::default());
    let Some(Ok(TokenEvent::Finish(finish))) = stream.next().await else { panic!("it finishes") };
    assert_eq!(finish.usage.prompt_tokens, 1);
}

#[tokio::test]
async fn an_observer_is_told_when_a_stream_is_dropped_before_its_end() {
    let observer = Told::default();
    drop(TokenStream::generate(two_words).observed(observer.clone()));
    let mut stream = TokenStream::generate(two_words).observed(observer.clone());
    stream.next().await.expect("one").expect("ok");
    drop(stream);
    assert_eq!(observer.all(), ["dropped", "begin", "dropped"]);
}

#[tokio::test]
async fn an_observer_is_told_of_a_panic_which_goes_on() {
    let observer = Told::default();
    let mut panics = false;
    let stream = TokenStream::from_stream(futures_util::stream::poll_fn(move |_| {
        assert!(!std::mem::replace(&mut panics, true), "in the stream");
        std::task::Poll::Ready(Some(Ok(TokenEvent::text_delta("a"))))
    }));
    let stream = stream.observed(observer.clone()).wrap(|stream| stream).observed(observer.clone());
    let reads = tokio::spawn(read(stream)).await;
    assert!(reads.expect_err("it goes on").is_panic());
    assert_eq!(observer.all(), ["begin", "begin", "the stream panicked", "the stream panicked"]);
}

#[tokio::test]
async fn what_was_looked_at_is_still_there_and_told_of_once() {
    let observer = Told::default();
    let mut stream = TokenStream::generate(two_words).observed(observer.clone());
    for _ in 0..2 {
        let first = stream.peek().await.expect("one").as_ref().expect("ok");
        assert_eq!(first.text(), "to ");
    }
    assert_eq!(read(stream).await, "to be.");
    assert_eq!(observer.all(), ["begin", "finished"]);
}

#[tokio::test]
async fn a_terminal_event_that_was_looked_at_is_still_handed_on() {
    let mut stream = of([Ok(TokenEvent::finish(FinishReason::Stop, Usage::default()))]);
    assert!(stream.peek().await.is_some());
    assert_eq!(read(stream).await, ".");
    let mut empty = of([]);
    assert!(empty.peek().await.is_none() && empty.next().await.is_none());
}

#[tokio::test]
async fn a_slot_is_kept_until_the_stream_and_its_task_are_gone() {
    let slots = crate::worker::Slots::new(std::num::NonZeroUsize::MIN);
    let take = || slots.try_acquire().expect("free");
    let pulled = TokenStream::generate(two_words).keep(take());
    assert_eq!(slots.free(), 0);
    drop(pulled);
    assert_eq!(slots.free(), 1);
    let (sender, gone) = std::sync::mpsc::channel::<()>();
    let stream = TokenStream::spawn(1, async move |_out| {
        let _sender = sender;
        std::future::pending().await
    });
    let stream = stream.keep(take()).wrap(|stream| stream);
    drop(stream);
    assert_eq!(slots.free(), 0, "its task is aborted, and not gone yet");
    while slots.free() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(
        gone.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Disconnected),
        "the work went first"
    );
}

#[tokio::test]
async fn a_relay_keeps_a_slot_until_the_tasks_of_all_its_streams_are_gone() {
    let slots = crate::worker::Slots::new(std::num::NonZeroUsize::new(2).expect("not zero"));
    let take = || slots.try_acquire().expect("free");
    let hangs = || TokenStream::spawn(1, async move |_out| std::future::pending().await);
    let relay = crate::token::Relay::default();
    let (first, second) = (hangs().keep(take()), hangs());
    relay.run(&first);
    relay.run(&second);
    let around = relay.around(second).keep(take());
    drop(first);
    while slots.free() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slots.free(), 1, "what the first one had by itself went with it, and no more");
    drop(around);
    assert_eq!(slots.free(), 1, "the second task is aborted, and not gone yet");
    while slots.free() == 1 {
        tokio::task::yield_now().await;
    }
}

/// Counts how many are at work at once.
#[derive(Default)]
struct AtWork {
    now: std::sync::atomic::AtomicUsize,
    most: std::sync::atomic::AtomicUsize,
}

struct Working(std::sync::Arc<AtWork>);

impl Working {
    fn begin(at_work: &std::sync::Arc<AtWork>) -> Self {
        let now = at_work.now.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        at_work.most.fetch_max(now, std::sync::atomic::Ordering::SeqCst);
        Self(at_work.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        // Long enough for others to come in, where they can.
        std::thread::yield_now();
        self.0.now.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_work_of_a_task_goes_before_its_slot_however_the_task_ends() {
    struct Looks(crate::worker::Slots, std::sync::mpsc::Sender<usize>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.1.send(self.0.free()).expect("the test waits for it");
        }
    }
    for reads in [0, 1, 3] {
        let slots = crate::worker::Slots::new(std::num::NonZeroUsize::MIN);
        let (sender, free) = std::sync::mpsc::channel();
        let looks = Looks(slots.clone(), sender);
        let mut stream = TokenStream::spawn(1, async move |out| {
            let _looks = looks;
            two_words(out).await
        });
        stream = stream.keep(slots.try_acquire().expect("free"));
        for _ in 0..reads {
            stream.next().await.expect("one").expect("ok");
        }
        drop(stream);
        while slots.free() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(free.recv(), Ok(0), "free when the work was dropped, after {reads} events");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_tasks_are_at_work_than_there_are_slots() {
    let slots = crate::worker::Slots::new(std::num::NonZeroUsize::new(2).expect("not zero"));
    let at_work = std::sync::Arc::new(AtWork::default());
    let calls = (0..8).map(|caller| {
        let (slots, at_work) = (slots.clone(), at_work.clone());
        tokio::spawn(async move {
            for call in 0..200 {
                let slot = slots.acquire().await;
                let working = Working::begin(&at_work);
                let stream = TokenStream::spawn(1, async move |out| {
                    let _working = working;
                    two_words(out).await
                });
                let mut stream = stream.keep(slot);
                for _ in 0..(caller + call) % 4 {
                    stream.next().await;
                }
            }
        })
    });
    futures_util::future::try_join_all(calls).await.expect("no panic");
    assert_eq!(at_work.most.load(std::sync::atomic::Ordering::SeqCst), 2);
}

/// A stream that lives by its pulse alone for five seconds behind its first event, and its second one.
fn pulsing() -> TokenStream {
    let pulse = crate::token::Pulse::default();
    let beats = pulse.clone();
    let work = async move |mut out: Emitter| {
        out.text("a").await;
        for _ in 0..10 {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            beats.beat();
        }
        out.text("b").await;
        out.finish(FinishReason::Stop, Usage::default()).await;
        Ok(())
    };
    TokenStream::generate(work).with_pulse(pulse)
}

async fn timed(stream: TokenStream) -> TokenStream {
    let limits = crate::worker::Timeouts::none().between_tokens(std::time::Duration::from_millis(800));
    limits.run(std::future::ready(Ok(stream))).await.expect("it is there")
}

#[tokio::test(start_paused = true)]
async fn every_limit_around_a_stream_hears_its_pulse() {
    assert_eq!(read(timed(timed(timed(pulsing()).await).await).await).await, "ab.");
}

#[tokio::test(start_paused = true)]
async fn a_relay_has_the_pulse_of_the_stream_that_runs() {
    let relay = crate::token::Relay::default();
    let first = pulsing();
    relay.run(&first);
    let next = relay.clone();
    let streams = TokenStream::generate(async move |mut out| {
        for mut stream in [first, pulsing()] {
            next.run(&stream);
            while let Some(Ok(event)) = stream.next().await {
                if !event.is_terminal() {
                    out.emit(event).await;
                }
            }
        }
        out.finish(FinishReason::Stop, Usage::default()).await;
        Ok(())
    });
    assert_eq!(read(timed(relay.around(streams)).await).await, "abab.");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_beat_is_still_cut_by_the_limits_around_it() {
    let silent = TokenStream::generate(async move |mut out| {
        out.text("a").await;
        std::future::pending().await
    });
    let mut stream = timed(timed(silent.with_pulse(crate::token::Pulse::default())).await).await;
    assert!(stream.next().await.expect("one").is_ok());
    assert!(stream.next().await.expect("it ends").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_limit_between_tokens_wakes_the_task_that_waits_now() {
    let talks = TokenStream::generate(async move |mut out| {
        out.text("a").await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        out.text("b").await;
        std::future::pending().await
    });
    let mut stream = timed(talks).await;
    assert!(stream.next().await.expect("one").is_ok());
    // Its limit wakes nobody, until somebody else waits.
    assert!(stream.next().now_or_never().is_none());
    tokio::time::advance(std::time::Duration::from_millis(100)).await;
    assert!(stream.next().now_or_never().flatten().expect("another").is_ok());
    let waits = tokio::spawn(async move { stream.next().await });
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), waits).await.expect("in time");
    let error = ended.expect("no panic").expect("an item").expect_err("nothing comes");
    assert_eq!(error.kind(), crate::error::WorkerErrorKind::Timeout(crate::error::Phase::BetweenTokens));
}
