//! The server that all real-server suites stand on: it starts, answers what was recorded, and can be killed and frozen.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use test_peers::{LlamaServer, Model, Peer, Suite, TestResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the tiny model says to "the quick brown fox" without chance.
const GREEDY: [u64; 24] =
    [395, 195, 70, 70, 70, 70, 105, 130, 336, 227, 130, 57, 343, 30, 343, 30, 343, 30, 343, 30, 315, 346, 130, 258];

/// Where no other header matters.
const HEADER: &str = "Accept: application/json";

/// Makes this program start a server, tell its address and wait for its end.
const HOLD: &str = "TEST_PEERS_HOLD_A_SERVER";

fn main() -> ExitCode {
    if std::env::var_os(HOLD).is_some() {
        return hold();
    }
    Suite::new("llama_server", LlamaServer::missing(), || LlamaServer::builder().start())
        .test("health_answers", health_answers)
        .test("greedy_tokens_are_those_recorded", greedy_tokens_are_those_recorded)
        .test("options_reach_the_server", options_reach_the_server)
        .test(
            "a_server_that_is_asked_to_end_closes_its_connections",
            a_server_that_is_asked_to_end_closes_its_connections,
        )
        .test("a_killed_server_is_gone", a_killed_server_is_gone)
        .test("a_killed_server_comes_back_on_its_port", a_killed_server_comes_back_on_its_port)
        .test("a_server_does_not_outlive_a_killed_process", a_server_does_not_outlive_a_killed_process)
        .test("a_frozen_server_answers_once_it_goes_on", a_frozen_server_answers_once_it_goes_on)
        .run()
}

/// Sends one request, reads until the server closes, and returns status and body.
async fn ask(server: &LlamaServer, line: &str, header: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(server.address()).await?;
    let length = format!("Content-Length: {}", body.len());
    let request = format!("{line} HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n{header}\r\n{length}\r\n\r\n{body}");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, body.to_owned()))
}

async fn health_answers(server: &LlamaServer) -> TestResult {
    assert_eq!(ask(server, "GET /health", HEADER, "").await?, (200, r#"{"status":"ok"}"#.to_owned()));
    Ok(())
}

async fn greedy_tokens_are_those_recorded(server: &LlamaServer) -> TestResult {
    let prompt = json!({"prompt": "the quick brown fox", "n_predict": 24, "temperature": 0, "return_tokens": true});
    let (status, body) = ask(server, "POST /completion", HEADER, &prompt.to_string()).await?;
    assert_eq!(status, 200, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body)?["tokens"], json!(GREEDY));
    Ok(())
}

async fn options_reach_the_server(_shared: &LlamaServer) -> TestResult {
    let server =
        LlamaServer::builder().model(Model::Slow).parallel(4).context(2048).embeddings().api_key("a-key").start()?;
    assert_eq!(ask(&server, "GET /props", HEADER, "").await?.0, 401);
    assert!(server.log().contains(server.address()), "{}", server.log());
    let (status, body) = ask(&server, "GET /props", "Authorization: Bearer a-key", "").await?;
    let props: Value = serde_json::from_str(&body)?;
    assert_eq!((status, &props["total_slots"], &props["model_alias"]), (200, &json!(4), &json!("slow")));
    assert_eq!(props["default_generation_settings"]["n_ctx"], 512);
    let (status, body) =
        ask(&server, "POST /v1/embeddings", "Authorization: Bearer a-key", r#"{"input": "fox"}"#).await?;
    assert_eq!(status, 200, "{body}");
    Ok(())
}

async fn a_server_that_is_asked_to_end_closes_its_connections(_shared: &LlamaServer) -> TestResult {
    let mut server = LlamaServer::builder().start()?;
    let mut idle = TcpStream::connect(server.address()).await?;
    server.terminate()?;
    assert_eq!(idle.read(&mut [0; 16]).await?, 0);
    Ok(())
}

async fn a_killed_server_is_gone(_shared: &LlamaServer) -> TestResult {
    let mut server = LlamaServer::builder().start()?;
    server.kill()?;
    let refused = TcpStream::connect(server.address()).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(server.freeze().is_err(), "its number may be another process's by now");
    Ok(())
}

async fn a_killed_server_comes_back_on_its_port(_shared: &LlamaServer) -> TestResult {
    let mut server = LlamaServer::builder().start()?;
    let (address, port) = (server.address().to_owned(), server.port());
    server.kill()?;
    let again = LlamaServer::builder().port(port).start()?;
    assert_eq!(again.address(), address);
    Ok(())
}

fn hold() -> ExitCode {
    let Ok(mut server) = LlamaServer::builder().start() else { return ExitCode::FAILURE };
    println!("{}", server.address());
    let frozen = std::env::var(HOLD).is_ok_and(|how| how == "frozen") && server.freeze().is_ok();
    println!("{frozen}");
    // Ends with the process.
    loop {
        std::thread::park();
    }
}

async fn a_server_does_not_outlive_a_killed_process(_shared: &LlamaServer) -> TestResult {
    for how in ["running", "frozen"] {
        let mut holder = Command::new(std::env::current_exe()?).env(HOLD, how).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(holder.stdout.take().ok_or("no output")?).lines();
        let address = lines.next().ok_or("no address")??;
        assert_eq!(lines.next().ok_or("no state")??, (how == "frozen").to_string());
        assert!(TcpStream::connect(&address).await.is_ok(), "it listens, frozen or not");
        holder.kill()?;
        holder.wait()?;
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

async fn a_frozen_server_answers_once_it_goes_on(_shared: &LlamaServer) -> TestResult {
    let mut server = LlamaServer::builder().start()?;
    server.freeze()?;
    let mut connection = TcpStream::connect(server.address()).await?;
    connection.write_all(b"GET /health HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n\r\n").await?;
    // A hundred times what it takes to answer.
    let early = tokio::time::timeout(Duration::from_millis(200), connection.readable()).await;
    assert!(early.is_err(), "it is frozen");
    server.thaw()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}
