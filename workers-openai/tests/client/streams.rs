//! Streams: what comes, what ends them, and what they leave behind.

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::testing::server::{Outcome, Reply, Signal};

use crate::{client, next, open, server};

const EVENTS: &str = "text/event-stream; charset=utf-8";

fn is(frame: Option<Result<bytes::Bytes, orchestrator_core::error::WorkerError>>, data: &str) -> bool {
    frame.expect("a frame").expect("no error") == data
}

#[tokio::test]
async fn the_data_of_each_event_comes_however_it_was_cut() {
    let body = "\u{feff}data: {\"a\":1}\r\n\r\n: comment\r\n\r\nevent: x\r\ndata: b\r\ndata: c\r\n\r\ndata: [DONE]";
    let server = server(move |_| Reply::until_close(200, EVENTS).pieces(body, 3).close()).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    for data in ["{\"a\":1}", "b\nc", "[DONE]"] {
        assert!(is(next(&mut frames).await, data));
    }
    assert!(next(&mut frames).await.is_none() && next(&mut frames).await.is_none());
    assert!(frames.is_over());
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_sends_is_believed() {
    let server = server(|_| Reply::full(200, &[], "data: a\n\n")).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    assert!(is(next(&mut frames).await, "a"));
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_cuts_the_stream() {
    let breaks: [fn(Reply) -> Reply; 3] = [Reply::reset, Reply::close, |reply| reply.bytes("ff\r\ndata: ").close()];
    for breaks in breaks {
        // It breaks when the event has been read: a reset takes with it what was not.
        let heard = Signal::new();
        let reply = breaks(Reply::chunked(200, EVENTS).chunk("data: a\n\n").until(&heard));
        let server = server(move |_| reply.clone()).await;
        let mut frames = open(&client(&server)).await.expect("a stream");
        assert!(is(next(&mut frames).await, "a"));
        heard.raise();
        let error = next(&mut frames).await.expect("an item").expect_err("cut");
        assert_eq!(error.kind(), Kind::StreamCut);
        assert!(std::error::Error::source(&error).is_some());
        assert!(next(&mut frames).await.is_none());
    }
}

#[tokio::test]
async fn a_broken_chunk_is_a_protocol_error() {
    let server = server(|_| Reply::chunked(200, EVENTS).chunk("data: a\n\n").bytes("what?\r\n").stall()).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    assert!(is(next(&mut frames).await, "a"));
    assert_eq!(next(&mut frames).await.expect("an item").expect_err("garbage").kind(), Kind::Protocol);
}

#[tokio::test]
async fn an_event_without_end_is_a_protocol_error_and_closes_the_connection() {
    let server = server(|_| Reply::chunked(200, EVENTS).chunk("data: ").flood([b'x'; 64 * 1024], 300).stall()).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    let error = next(&mut frames).await.expect("an item").expect_err("too long");
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(next(&mut frames).await.is_none());
    server.wait_for("the connection to close", |seen| seen.is_idle() && seen.connections.now == 0).await;
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let server = server(|_| Reply::chunked(200, EVENTS).chunk("data: a\n\n").stall()).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    assert!(is(next(&mut frames).await, "a"));
    drop(frames);
    let seen = server.wait_for("the client to leave", |seen| seen.is_idle() && seen.connections.now == 0).await;
    assert_eq!(seen.exchanges[0].outcome, Some(Outcome::ClientLeft));
}

#[tokio::test]
async fn dropping_the_call_before_its_answer_closes_the_connection() {
    let server = server(|_| Reply::raw().stall()).await;
    let client = client(&server);
    let call = tokio::spawn(async move { open(&client).await.map(drop) });
    server.wait_for("the request", |seen| seen.in_flight.now == 1).await;
    call.abort();
    server.wait_for("the client to leave", |seen| seen.is_idle() && seen.connections.now == 0).await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_the_server_back() {
    const EVENT: &[u8] = b"data: 0123456789012345678901234567890123456789\n\n";
    let server = server(|_| Reply::chunked(200, EVENTS).flood(EVENT.repeat(1024), 1024).last_chunk()).await;
    let mut frames = open(&client(&server)).await.expect("a stream");
    next(&mut frames).await.expect("an item").expect("an event");
    let written = |seen: &orchestrator_core::testing::server::Seen| seen.exchanges[0].written;
    // What the system's buffers hold, and no more: it stands still long before all 50 MB have gone.
    let mut before = 0;
    while before < written(&server.seen()) {
        before = written(&server.seen());
        let more = server.wait_within(std::time::Duration::from_millis(100), |seen| written(seen) > before).await;
        assert!(written(&server.seen()) < 20_000_000, "{more:?}");
    }
    drop(frames);
    server.wait_for("the client to leave", |seen| seen.is_idle()).await;
}

#[tokio::test]
async fn a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next() {
    let server = server(|_| Reply::chunked(200, EVENTS).chunk("data: a\n\n").last_chunk()).await;
    let client = client(&server);
    for _ in 0..4 {
        let mut frames = open(&client).await.expect("a stream");
        while next(&mut frames).await.is_some() {}
    }
    // But for the first, when it was not known yet what the server is.
    let seen = server.seen();
    assert_eq!(seen.connections.total, 2);
    let asked = seen.exchanges.iter().map(|exchange| exchange.request.header("connection"));
    assert_eq!(asked.collect::<Vec<_>>(), [Some("close"), None, None, None]);
}

/// It closes a connection behind a stream after it has promised to keep it.
#[tokio::test]
async fn no_connection_of_llama_cpp_is_used_behind_a_stream() {
    let headers = [("content-type", EVENTS), ("server", "llama.cpp")];
    let server = server(move |_| Reply::full(200, &headers, "data: a\n\n")).await;
    let client = client(&server);
    for _ in 0..3 {
        let mut frames = open(&client).await.expect("a stream");
        while next(&mut frames).await.is_some() {}
    }
    let seen = server.seen();
    assert_eq!(seen.connections.total, 3);
    assert!(seen.exchanges.iter().all(|exchange| exchange.request.header("connection") == Some("close")));
}
