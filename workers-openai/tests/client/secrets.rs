//! Keys stay where they belong.

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue};
use orchestrator_core::testing::server::Reply;
use serde_json::{Value, json};
use workers_openai::client::Client;

use crate::{client, open, server};

const KEY: &str = "sk-very-secret";
const OTHER: &str = "another-secret";

/// Everything that an error can be made to say.
fn all_of(error: &orchestrator_core::error::WorkerError) -> String {
    let mut said = format!("{error} {error:?} {error:#?} {:?}", error.body());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said += &format!("{cause} {cause:?}");
        source = cause.source();
    }
    said
}

fn echo() -> String {
    json!({"error": {"message": format!("wrong key {KEY} and {OTHER}"), "type": OTHER}}).to_string()
}

#[tokio::test]
async fn the_key_is_sent_and_in_no_error_though_the_server_echoes_it() {
    let event = format!("data: {}\n\n", echo());
    let garbage = format!("data: {KEY} {OTHER}\n\n");
    let server = server(move |request| match request.path() {
        "/stream" => Reply::json(401, echo()),
        "/events" => Reply::full(200, &[("content-type", "text/event-stream")], &event),
        "/garbage" => Reply::full(200, &[("content-type", "text/event-stream")], &garbage),
        _ => Reply::json(200, format!(r#""{KEY} {OTHER}""#)),
    })
    .await;
    let client = Client::builder(server.base_url()).key(KEY).header("x-api-key", OTHER).build().expect("a client");
    let mut errors = vec![open(&client).await.expect_err("refused")];
    errors.push(client.get_json::<Vec<u8>>("/json").await.expect_err("not a list"));
    for path in ["/events", "/garbage"] {
        let mut frames = client.stream(path, &json!({}), HeaderMap::new()).await.expect("a stream");
        let frame = frames.next().await.expect("an event").expect("read");
        errors.push(frames.error_of(&frame).unwrap_or_else(|| {
            frames.unreadable(&frame, &serde_json::from_slice::<Value>(&frame).expect_err("garbage"))
        }));
    }
    for error in &errors {
        let said = all_of(error);
        assert!(!said.contains(KEY) && !said.contains(OTHER), "{said}");
        assert!(said.contains("[key]"), "{said}");
    }
    let request = &server.seen().exchanges[0].request;
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("x-api-key"), Some(OTHER));
}

#[tokio::test]
async fn the_key_is_in_no_debug_and_no_error_of_the_way() {
    let gone = server(|_| Reply::raw().close()).await;
    let builder = Client::builder(gone.base_url()).key(KEY).header("x-api-key", OTHER);
    let said = format!("{builder:?}");
    let client = builder.build().expect("a client");
    drop(gone);
    let error = open(&client).await.expect_err("gone");
    let said = said + &format!("{client:?}") + &all_of(&error);
    assert!(!said.contains(KEY) && !said.contains(OTHER), "{said}");
    assert!(said.contains("x-api-key"), "{said}");
}

#[tokio::test]
async fn headers_of_a_call_stand_beside_the_clients_own_or_in_their_place() {
    let server = server(|_| Reply::full(200, &[("content-type", "text/event-stream")], "")).await;
    let own = Client::builder(server.base_url()).header("x-one", "1").header("x-two", "2").build().expect("a client");
    let mut headers = HeaderMap::new();
    headers.insert("x-two", HeaderValue::from_static("other"));
    headers.insert("x-three", HeaderValue::from_static("3"));
    own.stream("/stream", &json!({}), headers).await.expect("a stream");
    let request = server.seen().exchanges[0].request.clone();
    let seen = ["x-one", "x-two", "x-three", "authorization"].map(|name| request.header(name).map(str::to_owned));
    assert_eq!(seen, [Some("1".into()), Some("other".into()), Some("3".into()), None]);
    open(&client(&server)).await.expect("a stream");
    assert_eq!(server.seen().exchanges[1].request.header("x-one"), None);
}

async fn refused_with(body: &str, client: impl Fn(String) -> Client) -> String {
    let body = body.to_owned();
    let server = server(move |_| Reply::json(401, &body)).await;
    all_of(&open(&client(server.base_url())).await.expect_err("refused"))
}

#[tokio::test]
async fn what_stands_behind_a_headers_scheme_is_a_key_as_well() {
    let said = refused_with(r#"{"error":"wrong key: sk-very-secret"}"#, |url| {
        Client::builder(url).header("authorization", format!("Bearer {KEY}")).build().expect("a client")
    });
    let said = said.await;
    assert!(!said.contains(KEY) && said.contains("wrong key: [key]"), "{said}");
}

#[tokio::test]
async fn a_key_with_space_around_it_is_sent_without_and_found() {
    let server = server(|_| Reply::json(401, echo())).await;
    let client = Client::builder(server.base_url()).key(format!(" {KEY}\n")).build().expect("a client");
    let said = all_of(&open(&client).await.expect_err("refused"));
    assert!(!said.contains(KEY), "{said}");
    let request = server.seen().exchanges[0].request.clone();
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
}

#[tokio::test]
async fn a_sensitive_header_of_a_call_is_in_no_error() {
    let server = server(|request| match request.path() {
        "/events" => Reply::full(200, &[("content-type", "text/event-stream")], format!("data: {}\n\n", echo())),
        _ => Reply::json(401, echo()),
    })
    .await;
    let client = client(&server);
    let mut value: HeaderValue = format!("Bearer {KEY}").parse().expect("a value");
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, value)]);
    let refused = client.stream("/stream", &json!({}), headers.clone()).await.expect_err("refused");
    let mut frames = client.stream("/events", &json!({}), headers).await.expect("a stream");
    let frame = frames.next().await.expect("an event").expect("read");
    for error in [refused, frames.error_of(&frame).expect("an error")] {
        assert!(!all_of(&error).contains(KEY), "{error:?}");
    }
}

#[tokio::test]
async fn no_part_of_a_key_is_left_where_a_text_was_cut() {
    let part = &KEY[..6];
    let client = |url: String| Client::builder(url).key(KEY).build().expect("a client");
    // Of a message 300 characters are kept, of a body 64 KiB.
    for before in [290, 295, 64 * 1024 - 10, 64 * 1024 - 3] {
        let said = refused_with(&format!("{}{KEY} and more", "x".repeat(before)), client).await;
        assert!(!said.contains(part), "{before}");
        let body = format!("\"{}{KEY} and more\"", "x".repeat(before));
        let server = server(move |_| Reply::json(200, &body)).await;
        let error = client(server.base_url()).get_json::<Vec<u8>>("/").await.expect_err("no list");
        assert!(!all_of(&error).contains(part), "{before}");
    }
}
