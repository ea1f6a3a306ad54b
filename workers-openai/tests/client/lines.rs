//! Connections that are kept for the next request.

use std::io::{Read, Write};
use std::time::Duration;

use futures_util::StreamExt;
use orchestrator_core::error::WorkerError;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use workers_openai::client::Client;

use crate::SOON;

async fn listen() -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, Client::builder(url).build().expect("a client"))
}

/// Reads the next request of a connection, which comes in one piece.
async fn hear(connection: &mut TcpStream) {
    let mut asked = Vec::with_capacity(64 * 1024);
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        assert_ne!(connection.read_buf(&mut asked).await.expect("a request"), 0);
    }
}

/// Answers the next request of a connection, and keeps that.
async fn answer(connection: &mut TcpStream) {
    hear(connection).await;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("a reader");
}

async fn ask(client: &Client) -> Value {
    client.get_json("/").await.expect("an answer")
}

#[tokio::test]
async fn one_that_the_server_has_closed_meanwhile_is_not_used() {
    let (listener, client) = listen().await;
    let (signal, _) = listen().await;
    let told = TcpStream::connect(signal.local_addr().expect("an address"));
    let (told, tells) = tokio::join!(told, signal.accept());
    let (mut told, (mut tells, _)) = (told.expect("a connection"), tells.expect("a connection"));
    let server = async {
        let (mut first, _) = listener.accept().await.expect("a client");
        answer(&mut first).await;
        answer(&mut first).await;
        drop(first);
        tells.write_all(&[1]).await.expect("a reader");
        let (mut second, _) = listener.accept().await.expect("a client");
        answer(&mut second).await;
    };
    let asking = async {
        assert_eq!((ask(&client).await, ask(&client).await), (json!({}), json!({})));
        // What came over the network later is there, and so is what came before.
        told.read_exact(&mut [0]).await.expect("a signal");
        assert_eq!(ask(&client).await, json!({}));
    };
    tokio::time::timeout(SOON, async { tokio::join!(server, asking) }).await.expect("in time");
}

#[tokio::test]
async fn one_that_nobody_uses_is_closed_in_time() {
    let (listener, client) = listen().await;
    let accepted = async {
        let (mut connection, _) = listener.accept().await.expect("a client");
        answer(&mut connection).await;
        connection
    };
    let (mut connection, _) = tokio::join!(accepted, ask(&client));
    tokio::time::pause();
    let kept = tokio::time::Instant::now();
    assert_eq!(connection.read(&mut [0]).await.expect("an end"), 0);
    assert!((Duration::from_secs(3)..Duration::from_secs(6)).contains(&kept.elapsed()), "{:?}", kept.elapsed());
    drop(client);
}

/// Answers the first connection with these bytes, whatever it asks, and the second as usual; returns both answers.
async fn answered_first_with(wire: &'static str, closes: bool) -> [Result<Value, WorkerError>; 2] {
    let (listener, client) = listen().await;
    let server = async {
        let (mut first, _) = listener.accept().await.expect("a client");
        hear(&mut first).await;
        first.write_all(wire.as_bytes()).await.expect("a reader");
        let kept = (!closes).then_some(first);
        let (mut second, _) = listener.accept().await.expect("a client");
        answer(&mut second).await;
        drop(kept);
    };
    let asking = async { [client.get_json("/").await, client.get_json("/").await] };
    tokio::time::timeout(SOON, async { tokio::join!(server, asking) }).await.expect("in time").1
}

#[tokio::test]
async fn one_that_is_not_to_be_used_again_is_not() {
    for (wire, closes) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}x", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", false),
        ("HTTP/1.0 200 OK\r\n\r\n{}", true),
        ("HTTP/1.1 200 OK\r\n\r\n{}", true),
    ] {
        let answers = answered_first_with(wire, closes).await.map(|answer| answer.expect(wire));
        assert_eq!(answers, [json!({}), json!({})], "{wire}");
    }
}

#[tokio::test]
async fn a_stream_may_end_with_its_connection_and_begin_behind_interim_responses() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut connection, _) = listener.accept().await.expect("a client");
        hear(&mut connection).await;
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
        let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: a\n\n";
        connection.write_all(format!("{interim}{stream}").as_bytes()).await.expect("a reader");
    };
    let reading = async {
        let frames = crate::open(&client).await.expect("a stream");
        frames.map(|frame| frame.expect("an event")).collect::<Vec<_>>().await
    };
    let ((), frames) = tokio::time::timeout(SOON, async { tokio::join!(server, reading) }).await.expect("in time");
    assert_eq!(frames, ["a"]);
}

#[tokio::test]
async fn an_answer_to_a_request_that_is_not_read_ends_its_connection() {
    let (listener, client) = listen().await;
    let server = async {
        let (mut connection, _) = listener.accept().await.expect("a client");
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("a reader");
        while connection.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {}
        let (mut second, _) = listener.accept().await.expect("a client");
        answer(&mut second).await;
    };
    let asking = async {
        // More than the system takes for a client that nobody reads.
        let long = "x".repeat(64 << 20);
        (client.post_json::<Value>("/", &long).await, client.get_json::<Value>("/").await)
    };
    let ((), answers) = tokio::time::timeout(SOON, async { tokio::join!(server, asking) }).await.expect("in time");
    assert_eq!((answers.0.expect("an answer"), answers.1.expect("another")), (json!({}), json!({})));
}

#[tokio::test]
async fn a_request_of_which_nothing_was_sent_goes_over_another_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let client =
        Client::builder(format!("http://{}", listener.local_addr().expect("an address"))).build().expect("a client");
    let (close, told) = std::sync::mpsc::channel::<()>();
    let (closed, is_closed) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let (mut first, _) = listener.accept().expect("a client");
        // Closed with something unread, a connection is reset.
        first.read_exact(&mut [0]).expect("a request");
        first.write_all(ANSWER).expect("a reader");
        told.recv().expect("a word");
        drop(first);
        closed.send(()).expect("a listener");
        let (mut second, _) = listener.accept().expect("a client");
        second.read_exact(&mut [0]).expect("a request");
        second.write_all(ANSWER).expect("a reader");
    });
    assert_eq!(ask(&client).await, json!({}));
    close.send(()).expect("a listener");
    // Without a turn of the runtime, which would hear of it.
    is_closed.recv().expect("a word");
    assert_eq!(ask(&client).await, json!({}));
    server.join().expect("no panic");
}
