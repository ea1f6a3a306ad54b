use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::testing::HeldClock;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const GET: &[u8] = b"GET /a?b=c HTTP/1.1\r\nX-Name: value\r\n\r\n";

/// A server that gives everybody the same reply, and a client that has asked for it.
async fn asked(reply: Reply) -> io::Result<(ScriptedServer, TcpStream)> {
    let server = ScriptedServer::start(move |_| reply.clone()).await?;
    let mut client = TcpStream::connect(server.address()).await?;
    client.write_all(GET).await?;
    Ok((server, client))
}

async fn read_to_end(client: &mut TcpStream) -> io::Result<String> {
    let mut read = String::new();
    client.read_to_string(&mut read).await?;
    Ok(read)
}

#[tokio::test]
async fn a_connection_is_used_again_and_everything_is_counted() -> TestResult {
    let server = ScriptedServer::start(|request| Reply::json(200, request.body())).await?;
    let mut client = TcpStream::connect(server.address()).await?;
    for body in ["\"first\"", "\"2\""] {
        let length = body.len();
        client.write_all(format!("POST /echo HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
        let expected = format!(
            "HTTP/1.1 200 scripted\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut answer = vec![0; expected.len()];
        client.read_exact(&mut answer).await?;
        assert_eq!(String::from_utf8(answer)?, expected);
        let seen = server.wait_for("the end of the exchange", Seen::is_idle).await;
        assert_eq!(seen.exchanges.last().expect("one").written, expected.len() as u64);
    }
    let seen = server.seen();
    assert_eq!(seen.connections, Gauge { now: 1, most: 1, total: 1 });
    assert_eq!(seen.in_flight, Gauge { now: 0, most: 1, total: 2 });
    let requests: Vec<_> =
        seen.on("/echo").map(|exchange| (exchange.request.method(), exchange.request.json())).collect();
    assert_eq!(requests, [("POST", "first".into()), ("POST", "2".into())]);
    assert!(seen.exchanges.iter().all(|exchange| exchange.outcome == Some(Outcome::Answered)));
    drop(client);
    server.wait_for("the end of the connection", |seen| seen.connections.now == 0).await;
    Ok(())
}

#[tokio::test]
async fn a_request_is_read_as_it_was_sent() -> TestResult {
    let (server, _client) = asked(Reply::raw().stall()).await?;
    let seen = server.wait_for("the request", |seen| seen.in_flight.now == 1).await;
    let request = &seen.exchanges[0].request;
    assert_eq!((request.method(), request.path(), request.query()), ("GET", "/a", "b=c"));
    assert_eq!((request.header("x-name"), request.header("x-other")), (Some("value"), None));
    assert!(request.body().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_not_understood_ends_its_connection() -> TestResult {
    let server = ScriptedServer::start(|_| Reply::json(200, "{}")).await?;
    for request in
        ["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"]
    {
        let mut client = TcpStream::connect(server.address()).await?;
        client.write_all(request.as_bytes()).await?;
        assert_eq!(read_to_end(&mut client).await?, "", "{request:?}");
    }
    assert_eq!(server.seen().exchanges.len(), 0);
    Ok(())
}

#[tokio::test]
async fn bytes_arrive_as_the_steps_say() -> TestResult {
    let reply = Reply::chunked(200, "text/plain")
        .chunk("0123456789")
        .pieces("a\r\n01234", 3)
        .flood("x", 2)
        .last_chunk()
        .close();
    let (_server, mut client) = asked(reply).await?;
    let answer = read_to_end(&mut client).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    assert_eq!(head, "HTTP/1.1 200 scripted\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked");
    assert_eq!(body, "a\r\n0123456789\r\na\r\n012341\r\nx\r\n1\r\nx\r\n0\r\n\r\n");
    Ok(())
}

#[tokio::test]
async fn a_cut_is_an_end_and_a_reset_is_an_error() -> TestResult {
    let half = Reply::until_close(200, "text/plain").bytes("half");
    let (server, mut client) = asked(half.clone().close()).await?;
    assert!(read_to_end(&mut client).await?.ends_with("\r\n\r\nhalf"));
    assert_eq!(server.seen().exchanges[0].outcome, Some(Outcome::Answered));

    let (_server, mut client) = asked(half.reset()).await?;
    assert_eq!(read_to_end(&mut client).await.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_at_once_in_every_wait() -> TestResult {
    let blocked = Reply::raw().flood([b'x'; 65_536], 10_000);
    for reply in
        [Reply::raw().stall(), Reply::raw().delay(Duration::from_secs(60)), Reply::raw().until(&Signal::new()), blocked]
    {
        let (server, client) = asked(reply).await?;
        server.wait_for("the request", |seen| seen.in_flight.now == 1).await;
        let left = tokio::time::Instant::now();
        drop(client);
        let seen = server.wait_for("its end", |seen| seen.connections.now == 0).await;
        assert_eq!(seen.exchanges[0].outcome, Some(Outcome::ClientLeft));
        assert!(seen.exchanges[0].ended >= Some(left) && seen.exchanges[0].received <= left);
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_lets_all_go_on_who_wait_for_it() -> TestResult {
    let signal = Signal::new();
    let reply = Reply::raw().until(&signal).bytes("on").close();
    let server = ScriptedServer::start(move |_| reply.clone()).await?;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(server.address()).await?;
        client.write_all(GET).await?;
        clients.push(client);
    }
    server.wait_for("all requests", |seen| seen.in_flight.now == 3).await;
    signal.raise();
    for client in &mut clients {
        assert_eq!(read_to_end(client).await?, "on");
    }
    let seen = server.wait_for("their ends", Seen::is_idle).await;
    assert_eq!((seen.in_flight.most, seen.connections.most), (3, 3));
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_back() -> TestResult {
    const TOTAL: u64 = 64 * 1024 * 1024;
    let (server, _client) = asked(Reply::raw().flood([b'x'; 65_536], 1024)).await?;
    let seen =
        server.wait_within(Duration::from_millis(500), |seen| seen.exchanges.iter().any(|e| e.written >= TOTAL)).await;
    let written = seen.expect_err("it is held back").exchanges[0].written;
    assert!(written > 0 && written < TOTAL / 2, "{written}");
    Ok(())
}

#[tokio::test]
async fn the_held_clock_moves_only_when_it_is_told_to() -> TestResult {
    let clock = HeldClock::pause();
    let (server, mut client) = asked(Reply::raw().bytes("a").delay(Duration::from_secs(60)).bytes("b").close()).await?;
    let start = tokio::time::Instant::now();
    assert_eq!(client.read_u8().await?, b'a');
    server.wait_for("the first byte", |seen| seen.exchanges[0].written == 1).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    clock.advance(Duration::from_secs(60)).await;
    assert_eq!(read_to_end(&mut client).await?, "b");
    Ok(())
}

#[tokio::test]
async fn connections_end_with_the_server() -> TestResult {
    let (server, mut client) = asked(Reply::raw().bytes("a").stall()).await?;
    assert_eq!(client.read_u8().await?, b'a');
    let address = server.address();
    drop(server);
    assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
    let refused = TcpStream::connect(address).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    Ok(())
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "waited 10s for a miracle; seen: Seen")]
async fn waiting_in_vain_says_what_for() {
    let server = ScriptedServer::start(|_| Reply::raw()).await.expect("a port");
    server.wait_for("a miracle", |_| false).await;
}
