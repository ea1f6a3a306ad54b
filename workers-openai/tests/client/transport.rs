//! What goes wrong before there is an answer.

use std::time::Duration;

use http::HeaderMap;
use orchestrator_core::error::{Phase, WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::testing::HeldClock;
use orchestrator_core::testing::server::Reply;
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use workers_openai::client::Client;

use crate::{SOON, client, open, refused, server};

fn source_of(error: &WorkerError) -> String {
    std::error::Error::source(error).expect("a source").to_string()
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_there_in_a_moment() {
    let gone = server(|_| Reply::raw()).await;
    let client = client(&gone);
    let address = gone.base_url();
    drop(gone);
    let error = open(&client).await.expect_err("gone");
    assert_eq!(error.kind(), Kind::Transient);
    assert!(!source_of(&error).contains(&address), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_is_transient() {
    for reply in [Reply::raw().close(), Reply::raw().reset(), Reply::raw().bytes("HTTP/1.1 2").close()] {
        let error = refused(reply).await;
        assert_eq!(error.kind(), Kind::Transient, "{error:?}");
        source_of(&error);
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for reply in ["220 mail.example ready\r\n", "HTTP/1.1 abc\r\n\r\n", "\u{15}\u{3}\u{1}"] {
        let error = refused(Reply::raw().bytes(reply).close()).await;
        assert_eq!(error.kind(), Kind::Protocol, "{reply:?}: {error:?}");
    }
}

/// Takes no connections: its queue of them is full, and the system passes over further ones.
struct Full {
    address: std::net::SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl Full {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(0).expect("listens");
        let address = listener.local_addr().expect("an address");
        let mut queued = Vec::new();
        while let Ok(Ok(connection)) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
            queued.push(connection);
        }
        Self { address, _listener: listener, _queued: queued }
    }
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_is_given_up_with_its_phase() {
    let full = Full::start().await;
    let client = Client::builder(format!("http://{}", full.address)).connect_timeout(SHORT).build().expect("a client");
    let error = open(&client).await.expect_err("nobody takes it");
    assert_eq!(error.kind(), Kind::Timeout(Phase::Connect));
    assert_eq!(error.to_string(), "worker failed: waited 50ms to connect");
}

#[tokio::test]
async fn a_connection_stands_within_five_seconds_unless_it_is_said_otherwise() {
    let full = Full::start().await;
    let client = Client::builder(format!("http://{}", full.address)).build().expect("a client");
    let clock = HeldClock::pause();
    let body = json!({});
    let mut call = std::pin::pin!(client.stream("/", &body, HeaderMap::new()));
    assert!(futures_util::poll!(&mut call).is_pending());
    clock.advance(Duration::from_millis(4_900)).await;
    assert!(futures_util::poll!(&mut call).is_pending());
    clock.advance(Duration::from_millis(200)).await;
    let error = call.await.expect_err("nobody takes it");
    assert_eq!(error.kind(), Kind::Timeout(Phase::Connect));
}

#[tokio::test]
async fn a_refusal_whose_body_never_ends_is_told_in_time() {
    let server = server(|_| Reply::chunked(503, "text/plain").chunk("busy").stall()).await;
    let client = client(&server);
    let clock = HeldClock::pause();
    let call = tokio::spawn(async move { client.stream("/", &json!({}), HeaderMap::new()).await.map(drop) });
    // The head and the chunk lie in the client's buffers before time goes on.
    let bytes =
        "HTTP/1.1 503 scripted\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbusy\r\n".len();
    while server.seen().exchanges.first().is_none_or(|exchange| exchange.written < bytes as u64) {
        tokio::task::yield_now().await;
    }
    let settle = async || {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    settle().await;
    assert!(!call.is_finished());
    clock.advance(Duration::from_secs(2)).await;
    settle().await;
    assert!(call.is_finished(), "it waits on");
    let error = call.await.expect("no panic").expect_err("refused");
    assert_eq!((error.kind(), error.status(), error.body()), (Kind::Overloaded, Some(503), Some("busy")));
    drop(clock);
    tokio::time::resume();
    tokio::time::timeout(SOON, server.wait_for("the client to leave", |seen| seen.is_idle())).await.expect("in time");
}
