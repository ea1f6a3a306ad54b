use crate::error::WorkerError;
use crate::token::{Emitter, End, FinishReason, Observer, TokenEvent, TokenStream, Usage};

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
async fn a_stream_that_panics_in_its_stage_does_not_look_whole() {
    let cx = crate::context::Context::standalone(crate::request::RequestOptions::new());
    let panics = futures_util::stream::poll_fn(|_| panic!("in the stream"));
    let mut stream = TokenStream::in_stage(&cx, panics);
    assert!(stream.next().await.expect("an item").is_err());
    assert!(stream.next().await.is_none());
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
