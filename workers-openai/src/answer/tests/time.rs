//! Answers whose server takes its time, or has no end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::token::{Finish, FinishReason, TokenEvent, TokenStream, Usage};
use orchestrator_core::worker::Timeouts;
use tokio::time::{Instant, Sleep};

use crate::answer::tokens;
use crate::client::Frames;

const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const EMPTY: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A body whose pieces come after a pause each, and that is held open behind them.
struct Held {
    pieces: VecDeque<(Duration, &'static str)>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((pause, piece)) = self.pieces.front().copied() else { return Poll::Pending };
        let sleep = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        ready!(sleep.as_mut().poll(cx));
        self.pause = None;
        self.pieces.pop_front();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

fn held(pieces: impl IntoIterator<Item = (u64, &'static str)>) -> TokenStream {
    let pieces = pieces.into_iter().map(|(pause, piece)| (Duration::from_millis(pause), piece)).collect();
    tokens(Frames::of_body(reqwest::Body::wrap(Held { pieces, pause: None })))
}

async fn end(mut stream: TokenStream) -> Result<Finish, WorkerError> {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(3_600), stream.next()).await.expect("it ends");
        if let TokenEvent::Finish(finish) = event.expect("an end, however it is")? {
            return Ok(finish);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_behind_the_reason_is_waited_for_two_seconds() {
    let began = Instant::now();
    let finish = end(held([(0, TEXT), (0, END)])).await.expect("it was whole");
    assert_eq!((finish.reason, finish.usage), (FinishReason::Length, Usage::default()));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn comments_behind_the_reason_do_not_make_it_longer() {
    let began = Instant::now();
    let comments = std::iter::repeat_n((500, ": still here\n\n"), 20);
    end(held([(0, END)].into_iter().chain(comments))).await.expect("it was whole");
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn usage_that_comes_late_is_still_heard_and_done_ends_the_wait() {
    let began = Instant::now();
    let finish = end(held([(0, END), (1_500, USAGE), (100, DONE)])).await.expect("it was whole");
    assert_eq!(finish.usage, Usage::new(3, 1));
    assert_eq!(began.elapsed().as_millis() / 10, 161);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_read_however_late_it_is_asked_for() {
    let mut stream = held([(0, TEXT), (0, END), (0, USAGE), (0, DONE)]);
    stream.next().await.expect("the text").expect("no error");
    assert!(futures_util::poll!(std::pin::pin!(stream.next())).is_pending(), "it waits behind the reason");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(end(stream).await.expect("it was whole").usage, Usage::new(3, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_reason_silence_is_not_the_end() {
    let limits = Timeouts::none().between_tokens(Duration::from_secs(30));
    let stream = limits.run(async { Ok(held([(0, TEXT)])) }).await.expect("a stream");
    assert_eq!(end(stream).await.expect_err("silence").kind(), Kind::Timeout(Phase::BetweenTokens));
}

#[tokio::test(start_paused = true)]
async fn empty_deltas_are_a_pulse_and_comments_are_none() {
    let limits = Timeouts::none().between_tokens(Duration::from_millis(150));
    let every_40_ms = |piece| std::iter::once((0, TEXT)).chain(std::iter::repeat_n((40, piece), 20)).chain([(40, END)]);
    let live = limits.run(async { Ok(held(every_40_ms(EMPTY).chain([(0, DONE)]))) }).await.expect("a stream");
    assert_eq!(end(live).await.expect("it lived").reason, FinishReason::Length);
    let dead = limits.run(async { Ok(held(every_40_ms(": ping\n\n"))) }).await.expect("a stream");
    assert_eq!(end(dead).await.expect_err("no sign of life").kind(), Kind::Timeout(Phase::BetweenTokens));
}

/// A body that has an answer, and behind it more and more.
struct Endless(Arc<AtomicUsize>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Some(Bytes::from_static(END.as_bytes())),
            1 => Some(Bytes::from_static(DONE.as_bytes())),
            // It has an end all the same, so that the test has one.
            piece => (piece < 100_000).then(|| Bytes::from_static(&[b'x'; 1024])),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn a_body_that_goes_on_behind_done_is_left() {
    let read = Arc::new(AtomicUsize::new(0));
    let stream = tokens(Frames::of_body(reqwest::Body::wrap(Endless(read.clone()))));
    assert_eq!(end(stream).await.expect("it was whole").reason, FinishReason::Length);
    assert!(read.load(Ordering::Relaxed) < 100, "{read:?}");
}
