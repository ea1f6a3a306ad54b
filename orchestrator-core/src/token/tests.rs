use crate::error::WorkerError;
use crate::token::{Emitter, FinishReason, TokenEvent, TokenStream, Usage};

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
