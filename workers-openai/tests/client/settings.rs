//! What no client can be made of, and what settings do.

use std::time::Duration;

use orchestrator_core::error::{Phase, WorkerErrorKind as Kind};
use orchestrator_core::testing::server::Reply;
use serde_json::{Value, json};
use workers_openai::client::Client;

use crate::server;

#[test]
fn all_faults_are_told_at_once_and_no_secret_with_them() {
    let error = Client::builder("localhost:8080")
        .key("line\nbreak")
        .header("not a name", "secret")
        .header("x-fine", "se\u{7}cret")
        .http_client(reqwest::Client::new())
        .connect_timeout(Duration::from_secs(1))
        .build()
        .expect_err("five faults");
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["base_url", "key", "header", "header", "connect_timeout"]);
    let said = format!("{error} {error:?}");
    assert!(!said.contains("secret") && !said.contains("break"), "{said}");
    assert!(said.starts_with("client cannot be built: `base_url` "), "{said}");
}

#[test]
fn an_empty_key_is_told_and_not_sent() {
    let error = Client::builder("http://localhost").key("").build().expect_err("an unset variable, most likely");
    assert_eq!(error.faults()[0].field(), "key");
}

#[cfg(not(feature = "rustls"))]
#[test]
fn encrypted_servers_need_the_feature_or_a_client_of_ones_own() {
    let builder = || Client::builder("https://localhost");
    assert_eq!(builder().build().expect_err("no TLS").faults()[0].field(), "base_url");
    builder().http_client(reqwest::Client::new()).build().expect("the client's own affair");
}

#[cfg(feature = "rustls")]
#[test]
fn encrypted_servers_can_be_named() {
    Client::builder("https://localhost").build().expect("with TLS");
}

#[tokio::test]
async fn json_and_text_are_read_and_sent() {
    let server = server(|request| match (request.method(), request.path()) {
        ("GET", "/base/json") => Reply::json(200, r#"{"a":1}"#),
        ("GET", "/base/text") => Reply::full(200, &[], b"caf\xe9"),
        ("POST", "/base/echo") if request.header("content-type") == Some("application/json") => {
            Reply::json(200, request.body())
        }
        _ => Reply::json(404, "{}"),
    })
    .await;
    let client = Client::builder(server.base_url() + "/base/").build().expect("a client");
    assert_eq!(client.get_json::<Value>("/json").await.expect("JSON"), json!({"a": 1}));
    assert_eq!(client.get_text("text").await.expect("text"), "caf\u{fffd}");
    assert_eq!(client.post_json::<Value>("/echo", &json!([1])).await.expect("JSON"), json!([1]));
    assert_eq!(client.get_text("/elsewhere").await.expect_err("nothing there").kind(), Kind::NotFound);
}

#[tokio::test]
async fn json_of_another_form_is_a_protocol_error_unless_it_is_an_error() {
    let server = server(|request| match request.path() {
        "/error" => Reply::json(200, r#"{"error":"no such model","code":404}"#),
        _ => Reply::json(200, r#"{"a":1}"#),
    })
    .await;
    let client = crate::client(&server);
    let error = client.get_json::<Vec<u8>>("/").await.expect_err("not a list");
    assert_eq!((error.kind(), error.status(), error.body()), (Kind::Protocol, Some(200), Some(r#"{"a":1}"#)));
    let error = client.get_json::<Vec<u8>>("/error").await.expect_err("an error");
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_exchange_that_takes_too_long_is_given_up_and_its_connection_closed() {
    let server = server(|_| Reply::chunked(200, "application/json").chunk("{").stall()).await;
    let limit = Duration::from_millis(30);
    let client = Client::builder(server.base_url()).exchange_timeout(limit).build().expect("a client");
    let error = client.get_text("/").await.expect_err("too late");
    assert_eq!(error.kind(), Kind::Timeout(Phase::Total));
    server.wait_for("the connection to close", |seen| seen.is_idle() && seen.connections.now == 0).await;
}

#[tokio::test]
async fn a_client_of_ones_own_is_used_with_its_limits() {
    let server = server(|_| Reply::raw().stall()).await;
    let own =
        reqwest::Client::builder().user_agent("mine").timeout(Duration::from_millis(30)).build().expect("a client");
    let client = Client::builder(server.base_url()).http_client(own).build().expect("a client");
    let error = crate::open(&client).await.expect_err("too late");
    assert_eq!(error.kind(), Kind::Timeout(Phase::Total));
    assert_eq!(server.seen().exchanges[0].request.header("user-agent"), Some("mine"));
}

#[tokio::test]
async fn an_answer_that_can_be_read_and_has_an_error_is_one() {
    let server = server(|request| match request.path() {
        "/error" => Reply::json(200, r#"{"error":{"message":"no such model","code":404}}"#),
        _ => Reply::json(200, r#"{"error":null,"data":{"error":"no matter"}}"#),
    })
    .await;
    let client = crate::client(&server);
    let error = client.get_json::<Value>("/error").await.expect_err("an error");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(client.post_json::<Value>("/", &json!({})).await.expect("JSON")["data"]["error"], "no matter");
}

#[tokio::test]
async fn a_query_of_the_base_url_goes_with_every_request_and_is_shown_nowhere() {
    let server = server(|_| Reply::json(200, "{}")).await;
    let builder = Client::builder(server.base_url() + "/base/?api-version=2&key=sk-secret");
    let said = format!("{builder:?}");
    let client = builder.build().expect("a client");
    client.get_text("/models").await.expect("text");
    let request = server.seen().exchanges[0].request.clone();
    assert_eq!((request.path(), request.query()), ("/base/models", "api-version=2&key=sk-secret"));
    assert!(!(said + &format!("{client:?}") + client.server()).contains("sk-secret"));
}

/// The environment is the process's own: the test that talks to a server runs once more, in another one.
#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port");
    let mut test = std::process::Command::new(std::env::current_exe().expect("this test"));
    test.args(["--exact", "settings::json_and_text_are_read_and_sent"]).env_remove("no_proxy").env_remove("NO_PROXY");
    let proxy = format!("http://{closed}");
    let run = test.env("http_proxy", &proxy).env("HTTP_PROXY", &proxy).output().expect("it runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}
