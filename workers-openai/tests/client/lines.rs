//! Connections that are kept for the next request.

use std::time::Duration;

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

/// Answers the next request of a connection, and keeps that.
async fn answer(connection: &mut TcpStream) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        assert_ne!(connection.read_buf(&mut asked).await.expect("a request"), 0);
    }
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
