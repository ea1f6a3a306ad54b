//! What refusals mean.

use std::time::Duration;

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::testing::server::Reply;

use crate::refused;

const NO_SIZES: Kind = Kind::ContextLength { prompt_tokens: None, limit: None };

/// Status, body, and what they mean together; the bodies are those of real servers.
const REFUSALS: &[(u16, &str, Kind)] = &[
    // OpenAI
    (
        401,
        r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        Kind::Auth,
    ),
    (
        429,
        r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        Kind::RateLimited,
    ),
    (
        429,
        r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        Kind::Auth,
    ),
    (
        400,
        r#"{"error":{"message":"flagged","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#,
        Kind::ContentFilter,
    ),
    (
        400,
        r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        NO_SIZES,
    ),
    (
        404,
        r#"{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        Kind::NotFound,
    ),
    (
        500,
        r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#,
        Kind::Transient,
    ),
    // llama.cpp
    (503, r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#, Kind::Overloaded),
    (
        501,
        r#"{"error":{"code":501,"message":"This server does not support embeddings","type":"not_supported_error"}}"#,
        Kind::NotFound,
    ),
    (
        400,
        r#"{"error":{"code":400,"message":"request (3001 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":3001,"n_ctx":2048}}"#,
        Kind::ContextLength { prompt_tokens: Some(3001), limit: Some(2048) },
    ),
    // vLLM
    (405, r#"{"detail":"Method Not Allowed"}"#, Kind::InvalidRequest),
    (
        404,
        r#"{"error":{"message":"The model `nope` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
        Kind::NotFound,
    ),
    (
        400,
        r#"{"error":{"message":"max_tokens=100000 cannot be greater than max_model_len=2048.","type":"BadRequestError","code":400}}"#,
        Kind::InvalidRequest,
    ),
    // TGI
    (429, r#"{"error":"Model is overloaded","error_type":"overloaded"}"#, Kind::Overloaded),
    (424, r#"{"error":"Request failed during generation","error_type":"generation"}"#, Kind::Transient),
    (422, r#"{"error":"`top_p` must be > 0.0 and < 1.0","error_type":"validation"}"#, Kind::InvalidRequest),
    (
        422,
        r#"{"error":"`inputs` must have less than 1024 tokens. Given: 3001","error_type":"validation"}"#,
        Kind::ContextLength { prompt_tokens: Some(3001), limit: Some(1024) },
    ),
    // Ollama, LM Studio
    (404, r#"{"error":"model 'x' not found"}"#, Kind::NotFound),
    (400, r#"{"error":"'response_format.type' must be 'json_schema'"}"#, Kind::InvalidRequest),
    // OpenRouter
    (402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, Kind::Auth),
    (
        403,
        r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}}"#,
        Kind::ContentFilter,
    ),
    (502, r#"{"error":{"code":502,"message":"Provider returned error"}}"#, Kind::Transient),
    // Mistral
    (
        422,
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden"}]},"type":"invalid_request_error"}"#,
        Kind::InvalidRequest,
    ),
    // Anthropic, through a gateway
    (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Kind::Overloaded),
    // Proxies
    (413, "<html>413 Request Entity Too Large</html>", NO_SIZES),
    (408, "", Kind::Transient),
    (504, "<html>gateway time-out</html>", Kind::Transient),
    // An error with a status of success
    (200, r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#, Kind::RateLimited),
    (200, r#"{"error":{"message":"bad","code":400}}"#, Kind::InvalidRequest),
    (200, r#"{"choices":[{"message":{"content":"not a stream"}}]}"#, Kind::Protocol),
];

#[tokio::test]
async fn refusals_of_every_server_have_their_kind_and_keep_status_and_body() {
    for (status, body, kind) in REFUSALS {
        let error = refused(Reply::json(*status, body)).await;
        assert_eq!((error.kind(), error.status(), error.body()), (*kind, Some(*status), Some(*body)), "{error}");
    }
}

#[tokio::test]
async fn the_servers_words_are_in_the_message() {
    let error = refused(Reply::json(400, r#"{"error":{"message":"`temperature` is too high"}}"#)).await;
    assert_eq!(error.to_string(), "worker failed: the server answered 400: `temperature` is too high");
    let error = refused(Reply::json(500, "")).await;
    assert_eq!(error.to_string(), "worker failed: the server answered 500");
    let error = refused(Reply::json(422, r#"{"message":{"detail":["why"]}}"#)).await;
    assert!(error.to_string().contains("why"), "{error}");
}

#[tokio::test]
async fn the_pause_that_the_server_asks_for_is_kept() {
    let asked = |headers: &[(&str, &str)]| refused(Reply::full(429, headers, "{}"));
    assert_eq!(asked(&[("retry-after", "7")]).await.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(asked(&[("retry-after-ms", "40")]).await.retry_after(), Some(Duration::from_millis(40)));
    assert_eq!(asked(&[]).await.retry_after(), None);
    let passed = asked(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]).await;
    assert_eq!(passed.retry_after(), Some(Duration::ZERO));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_told() {
    let error = refused(Reply::full(307, &[("location", "https://elsewhere/v1")], "")).await;
    assert_eq!((error.kind(), error.status()), (Kind::Protocol, Some(307)));
    assert!(error.to_string().ends_with("it lies at https://elsewhere/v1"), "{error}");
}

#[tokio::test]
async fn something_else_than_a_stream_is_a_protocol_error() {
    let login = Reply::full(200, &[("content-type", "text/html")], "<html>please log in</html>");
    let error = refused(login).await;
    assert_eq!((error.kind(), error.body()), (Kind::Protocol, Some("<html>please log in</html>")));
}

#[tokio::test]
async fn of_an_endless_refusal_the_beginning_is_kept() {
    let error = refused(Reply::chunked(500, "text/plain").flood([b'x'; 1024], 100).stall()).await;
    assert_eq!((error.kind(), error.body().map(str::len)), (Kind::Transient, Some(64 * 1024)));
}
