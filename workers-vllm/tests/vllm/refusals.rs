use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::request::PromptRequest;
use orchestrator_core::testing::server::Reply;
use orchestrator_core::worker::ModelWorker;

use crate::recorded::{self, builder, connect, request};

async fn refused(reply: Reply) -> WorkerError {
    let server = recorded::server(move |_| reply.clone()).await;
    let worker = connect(&server).await;
    worker.infer(request("hello")).await.expect_err("refused")
}

#[tokio::test]
async fn every_recorded_refusal_is_told_for_what_it_is() {
    let too_long = Kind::ContextLength { prompt_tokens: Some(2049), limit: Some(2048) };
    let refusals = [
        ("err_bad_json", 400, Kind::InvalidRequest),
        ("err_ctx", 400, too_long),
        ("err_ctx_stream", 400, too_long),
        ("err_empty", 400, Kind::InvalidRequest),
        ("err_max_tokens_too_big", 400, Kind::InvalidRequest),
        ("err_method", 405, Kind::InvalidRequest),
        ("err_model", 404, Kind::NotFound),
        ("err_no_messages", 400, Kind::InvalidRequest),
        ("err_route", 404, Kind::NotFound),
        ("err_temp", 400, Kind::InvalidRequest),
        ("embeddings_on_generate_model", 404, Kind::NotFound),
    ];
    for (name, status, kind) in refusals {
        let trace = recorded::load(name);
        let error = refused(recorded::reply(&trace)).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{name}");
        assert_eq!(error.body().map(str::as_bytes), Some(&*trace.response()), "{name}");
        assert!(!error.is_transient(), "{name}");
    }
    let recorded = recorded::all().into_iter().filter(|trace| trace.status >= 400);
    assert_eq!(recorded.count(), refusals.len(), "each of them");
}

#[tokio::test]
async fn a_full_queue_is_overload() {
    let body = r#"{"error":{"message":"queue is full","type":"ServiceUnavailableError","param":null,"code":503}}"#;
    let error = refused(Reply::json(503, body)).await;
    assert_eq!((error.kind(), error.is_transient()), (Kind::Overloaded, true));
}

#[tokio::test]
async fn a_priority_that_the_server_does_not_know_is_a_fault_of_the_setting() {
    let message = "Got priority 1 but Priority scheduling is not enabled.";
    let body = format!(r#"{{"error":{{"message":"{message}","type":"BadRequestError","param":null,"code":400}}}}"#);
    let error = refused(Reply::json(400, body)).await;
    assert_eq!(error.kind(), Kind::InvalidRequest);
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn a_key_that_the_server_echoes_is_in_no_error() {
    let body = r#"{"error":{"message":"bad key sk-very-secret","type":"Unauthorized","code":401}}"#;
    let server = recorded::server(move |_| Reply::json(401, body)).await;
    let worker = builder(&server).key("sk-very-secret").connect().await.expect("connects");
    let error = worker.infer(request("hello")).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Auth);
    let shown = format!("{error} {error:?} {:?} {worker:?} {:?}", error.body(), builder(&server).key("sk-very-secret"));
    assert!(!shown.contains("sk-very-secret"), "{shown}");
}

#[tokio::test]
async fn tools_do_not_go_with_a_raw_prompt() {
    let server = recorded::server_of("completions_stream").await;
    let tool = orchestrator_core::request::Tool {
        name: "weather".to_owned(),
        description: String::new(),
        parameters: serde_json::json!({}),
    };
    let error = connect(&server).await.infer(request(PromptRequest::raw("a").tool(tool))).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::InvalidRequest);
}
