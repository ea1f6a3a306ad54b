use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::context::Context;
use orchestrator_core::error::{Phase, WorkerErrorKind};
use orchestrator_core::request::{Priority, PromptRequest, RequestOptions, ResponseFormat};
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use orchestrator_core::worker::{InferenceRequest, ModelWorker, Slots, Timeouts};
use serde_json::{Value, json};
use workers_vllm::{Vllm, VllmBuilder};

use crate::recorded::{self, CHAT, COMPLETIONS, asked, builder, connect, request};

const SECRET: &str = "a secret of 16 bytes and more";

async fn sent(options: impl FnOnce(VllmBuilder) -> VllmBuilder, request: InferenceRequest) -> Value {
    let server = recorded::server_of("chat_stream_usage").await;
    let worker = options(builder(&server)).build().expect("well set");
    worker.infer(request).await.expect("accepted");
    asked(&server)
}

fn of_tenant(tenant: Option<&str>) -> InferenceRequest {
    let options = tenant.map_or_else(RequestOptions::new, |tenant| RequestOptions::new().tenant(tenant));
    InferenceRequest::new("hello".into(), Context::standalone(options))
}

#[tokio::test]
async fn nothing_is_sent_that_was_not_asked_for() {
    let sent = sent(|builder| builder, request("hello")).await;
    let expected = json!({
        "messages": [{"role": "user", "content": "hello"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn priorities_are_sent_where_the_server_knows_them() {
    let ranks = [(Priority::High, -1), (Priority::Normal, 0), (Priority::Low, 1)];
    for (priority, rank) in ranks {
        let request =
            || InferenceRequest::new("hello".into(), Context::standalone(RequestOptions::new().priority(priority)));
        assert_eq!(sent(VllmBuilder::priorities, request()).await["priority"], rank);
        assert_eq!(sent(|builder| builder, request()).await["priority"], Value::Null);
    }
    let own = || request(PromptRequest::new("hello").vendor("priority", 7));
    assert_eq!(sent(VllmBuilder::priorities, own()).await["priority"], 7);
    assert_eq!(sent(|builder| builder, own()).await["priority"], 7);
}

#[tokio::test]
async fn tenants_have_salts_that_nobody_else_can_choose() {
    let salt = async |request| sent(|builder| builder.cache_salt(SECRET), request).await["cache_salt"].clone();
    let (a, b, nobody) =
        (salt(of_tenant(Some("a"))).await, salt(of_tenant(Some("b"))).await, salt(of_tenant(None)).await);
    assert!(a.is_string() && a != b && a != nobody && b != nobody, "{a} {b} {nobody}");
    assert_eq!(a, salt(of_tenant(Some("a"))).await);

    let mut sly = of_tenant(Some("a"));
    sly.sampling.vendor.insert("cache_salt".to_owned(), b.clone());
    assert_eq!(salt(sly.clone()).await, a);
    assert_eq!(sent(|builder| builder, sly).await["cache_salt"], b, "without a secret it is the caller's business");
    assert_eq!(sent(|builder| builder, of_tenant(Some("a"))).await["cache_salt"], Value::Null);
}

#[tokio::test]
async fn token_ids_are_asked_for_where_the_builder_or_the_request_says_so() {
    assert_eq!(sent(VllmBuilder::with_token_ids, request("hello")).await["return_token_ids"], true);
    let own = |value: bool| request(PromptRequest::new("hello").vendor("return_token_ids", value));
    assert_eq!(sent(|builder| builder, own(true)).await["return_token_ids"], true);
    assert_eq!(sent(VllmBuilder::with_token_ids, own(false)).await["return_token_ids"], false);
}

#[tokio::test]
async fn key_and_headers_go_with_every_request() {
    let server = recorded::server_of("chat_stream_usage").await;
    let worker = builder(&server).key("sk-1").header("x-team", "blue").connect().await.expect("connects");
    worker.infer(request("hello")).await.expect("accepted");
    worker.health().await;
    let seen = server.seen();
    assert!(seen.exchanges.len() >= 5);
    for exchange in &seen.exchanges {
        let sent = ["authorization", "x-team"].map(|name| exchange.request.header(name));
        assert_eq!(sent, [Some("Bearer sk-1"), Some("blue")], "{}", exchange.request.path());
    }
}

#[tokio::test]
async fn every_call_has_an_id_of_its_own() {
    let server = recorded::server_of("chat_stream_usage").await;
    let worker = connect(&server).await;
    let request = request("hello");
    for _ in 0..2 {
        worker.infer(request.clone()).await.expect("accepted");
    }
    let seen = server.seen();
    let ids: Vec<_> = seen.on(CHAT).map(|exchange| exchange.request.header("x-request-id").expect("an id")).collect();
    assert_ne!(ids[0], ids[1]);
    let context = format!("-{}-", request.context.id());
    assert!(ids.iter().all(|id| id.starts_with("po-") && id.contains(&context)), "{ids:?}");
}

#[tokio::test]
async fn the_model_asked_for_is_the_requests_the_settings_or_the_servers() {
    let server = recorded::server_of("chat_stream_usage").await;
    let worker = connect(&server).await;
    worker.infer(request("hello")).await.expect("accepted");
    assert_eq!(asked(&server)["model"], "tiny");
    worker.infer(request(PromptRequest::new("hello").model("other"))).await.expect("accepted");
    assert_eq!(asked(&server)["model"], "other");
    assert_eq!(sent(|builder| builder.model("mine"), request("hello")).await["model"], "mine");
}

#[tokio::test]
async fn a_form_is_asked_for_by_type_and_by_the_vendors_field() {
    let schema = json!({"type": "object"});
    let format = ResponseFormat::JsonSchema { name: "thing".to_owned(), schema: schema.clone() };
    let by_type = sent(|builder| builder, request(PromptRequest::new("hello").response_format(format))).await;
    assert_eq!(by_type["response_format"]["json_schema"]["schema"], schema);
    let choice = json!({"choice": ["yes", "no"]});
    let by_field = request(PromptRequest::new("hello").vendor("structured_outputs", choice.clone()));
    assert_eq!(sent(|builder| builder, by_field).await["structured_outputs"], choice);
}

#[tokio::test]
async fn a_raw_prompt_has_room_for_more_than_16_tokens() {
    let server = recorded::server_of("completions_stream_usage").await;
    let worker = connect(&server).await;
    worker.infer(request(PromptRequest::raw("once"))).await.expect("accepted");
    let sent = asked(&server);
    assert_eq!((&sent["prompt"], sent.get("max_tokens")), (&"once".into(), Some(&Value::Null)));
    assert_eq!(server.seen().on(COMPLETIONS).count(), 1);
    worker.infer(request(PromptRequest::raw("once").vendor("max_tokens", 20))).await.expect("accepted");
    assert_eq!(asked(&server)["max_tokens"], 20);
}

#[tokio::test]
async fn workers_of_one_server_share_the_slots_that_its_user_told() {
    let server = recorded::server_of("chat").await;
    let two = NonZeroUsize::new(2).expect("not zero");
    let one = builder(&server).slots(two).build().expect("well set");
    let other = Vllm::builder(format!("{}/v1/", server.base_url())).slots(two).build().expect("well set");
    let slot = one.slots().expect("told").try_acquire();
    assert_eq!(other.slots().map(|slots| slots.free()), Some(1));
    assert_eq!(Slots::of_server(&server.base_url(), two).free(), 1);
    assert!(builder(&server).build().expect("well set").slots().is_none());
    drop(slot);
}

#[tokio::test]
async fn each_phase_has_its_limit() {
    // One limit at a time: on a busy machine the first token may take longer than the other one allows.
    let (none, short) = (Timeouts::none(), Duration::from_millis(30));
    let start = recorded::load("chat_stream_usage").chunks[..2].concat();
    let begun = Reply::chunked(200, "text/event-stream").chunk(start).stall();
    let cases = [
        (none.first_token(short), Reply::raw().stall(), Phase::FirstToken),
        (none.between_tokens(short), begun, Phase::BetweenTokens),
    ];
    for (limits, reply, phase) in cases {
        let server = recorded::server(move |_| reply.clone()).await;
        let worker = builder(&server).timeouts(limits).build().expect("well set");
        let call = async {
            match worker.infer(request("hello")).await {
                Ok(stream) => recorded::read(stream).await.end.expect_err("it says no more"),
                Err(error) => error,
            }
        };
        let error = tokio::time::timeout(Duration::from_secs(10), call).await.expect("a limit");
        assert_eq!(error.kind(), WorkerErrorKind::Timeout(phase));
        gone(&server).await;
    }
}

async fn gone(server: &ScriptedServer) {
    server.wait_for("the connection to be closed", |seen| seen.connections.now == 0).await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_any_more_is_given_up() {
    let start = recorded::load("long_stream_full").chunks[..20].concat();
    let server = recorded::server(move |_| Reply::chunked(200, "text/event-stream").chunk(&start).stall()).await;
    let worker = builder(&server).build().expect("well set");
    let mut stream = worker.infer(request("hello")).await.expect("accepted");
    stream.next().await.expect("an event").expect("a text");
    drop(stream);
    gone(&server).await;
}

#[test]
fn all_faults_are_told_at_once() {
    let error = Vllm::builder("localhost").name(" ").model("").cache_salt("short").build().expect_err("four faults");
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["base_url", "name", "model", "cache_salt"]);
    assert!(!format!("{error} {error:?}").contains("short"));
}

#[test]
fn the_secret_of_salts_does_not_show() {
    let builder = || Vllm::builder("http://127.0.0.1:1").cache_salt(SECRET);
    let worker = builder().build().expect("well set");
    assert!(!format!("{:?} {worker:?}", builder()).contains(SECRET));
}
