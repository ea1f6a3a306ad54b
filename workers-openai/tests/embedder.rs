//! The embedder against a server that does what each test says.

#[path = "common/traces.rs"]
mod traces;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, OnceLock};

use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_core::worker::Slots;
use serde_json::{Value, json};
use workers_openai::OpenAiEmbedder;
use workers_openai::client::Client;

async fn server(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(script).await.expect("a port")
}

fn embedder(server: &ScriptedServer) -> OpenAiEmbedder {
    OpenAiEmbedder::new(Client::builder(server.base_url()).build().expect("a client"), "m")
}

/// Vectors of two numbers, the first of which is the text's own, in the opposite order.
fn backwards(request: &Request) -> Reply {
    let texts = request.json()["input"].as_array().cloned().unwrap_or_default();
    let vector = |(index, text): (usize, &Value)| {
        let number: f64 = text.as_str().expect("a text").parse().expect("a number");
        json!({"object": "embedding", "index": index, "embedding": [number, 0.5]})
    };
    let data: Vec<Value> = texts.iter().enumerate().map(vector).rev().collect();
    Reply::json(200, json!({"data": data, "usage": {"prompt_tokens": 1}}).to_string())
}

async fn of_answer(answer: Value) -> Result<Vec<Vec<f32>>, WorkerError> {
    let server = server(move |_| Reply::json(200, answer.to_string())).await;
    embedder(&server).embed(&["a", "b"]).await
}

#[tokio::test]
async fn vectors_come_in_the_order_of_their_texts_over_all_batches() {
    let server = server(backwards).await;
    let embedder = embedder(&server).batch(NonZeroUsize::new(2).expect("not zero"));
    let vectors = embedder.embed(&["0", "1", "2", "3", "4"]).await.expect("vectors");
    let firsts: Vec<f32> = vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(firsts, [0.0, 1.0, 2.0, 3.0, 4.0]);
    let seen = server.seen();
    let inputs: Vec<Value> =
        seen.on("/v1/embeddings").map(|exchange| exchange.request.json()["input"].clone()).collect();
    assert_eq!(inputs, [json!(["0", "1"]), json!(["2", "3"]), json!(["4"])]);
    assert!(embedder.embed(&[]).await.expect("nothing").is_empty());
    assert_eq!(server.seen().exchanges.len(), 3);
}

#[tokio::test]
async fn no_batch_is_larger_than_32_texts_unless_it_is_said_otherwise() {
    let server = server(backwards).await;
    assert_eq!(embedder(&server).embed(&["1"; 33]).await.expect("vectors").len(), 33);
    let sizes: Vec<_> =
        server.seen().exchanges.iter().map(|e| e.request.json()["input"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [Some(32), Some(1)]);
}

#[tokio::test]
async fn settings_are_sent_and_part_of_the_name_where_they_change_the_vectors() {
    let server = server(backwards).await;
    let plain = embedder(&server);
    plain.embed_query("1").await.expect("a vector");
    let short = embedder(&server).dimensions(NonZeroU32::new(2).expect("not zero")).base64();
    short.embed(&["1"]).await.expect("a vector");
    let seen = server.seen();
    let bodies: Vec<Value> = seen.exchanges.iter().map(|exchange| exchange.request.json()).collect();
    assert_eq!(bodies[0], json!({"model": "m", "input": ["1"]}));
    assert_eq!(bodies[1], json!({"model": "m", "input": ["1"], "dimensions": 2, "encoding_format": "base64"}));
    assert_eq!((plain.name(), short.name()), ("m", "m@2"));
}

#[tokio::test]
async fn vectors_that_are_missing_double_odd_or_broken_are_not_believed() {
    let data = |vectors: Value| json!({"data": vectors});
    let one = json!({"index": 0, "embedding": [1.0]});
    for (answer, why) in [
        (json!({}), "not vectors for all of 2 texts"),
        (data(json!([one])), "not vectors for all of 2 texts"),
        (data(json!([one, one])), "two vectors for text 0, or no such text"),
        (data(json!([one, {"index": 2, "embedding": [1.0]}])), "two vectors for text 2, or no such text"),
        (data(json!([one, {"index": 1, "embedding": [1.0, 2.0]}])), "a vector has 2 numbers, and not 1"),
        (data(json!([{"embedding": []}, {"embedding": []}])), "a vector has 0 numbers"),
        (data(json!([one, {"index": 1, "embedding": "%"}])), "base64"),
    ] {
        let error = of_answer(answer).await.expect_err(why);
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.to_string().contains(why), "{error}");
    }
    let unnumbered = data(json!([{"embedding": [1.0]}, {"embedding": [2.0]}]));
    assert_eq!(of_answer(unnumbered).await.expect("in their order"), [[1.0], [2.0]]);
}

#[tokio::test]
async fn a_server_that_ignores_the_dimensions_is_not_believed() {
    let server = server(backwards).await;
    let embedder = embedder(&server).dimensions(NonZeroU32::new(64).expect("not zero"));
    assert_eq!(embedder.embed(&["1"]).await.expect_err("two numbers").kind(), Kind::Protocol);
}

#[tokio::test]
async fn recorded_vectors_are_read_in_either_form() {
    for (trace, texts) in [("llamacpp/embeddings_on", 2), ("llamacpp/embeddings_b64", 1)] {
        let body = traces::load(trace).response();
        let server = server(move |_| Reply::json(200, &body)).await;
        let vectors = embedder(&server).embed(&["text"; 2][..texts]).await.expect(trace);
        assert!(vectors.iter().all(|vector| vector.len() == 64), "{trace}");
        let length: f32 = vectors[0].iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-3, "{trace}: {length}");
    }
}

#[tokio::test]
async fn each_batch_takes_one_of_the_slots_that_a_worker_of_the_server_has_told_of() {
    let told = Arc::new(OnceLock::<Slots>::new());
    let seen = told.clone();
    let server = server(move |request| match seen.get().map(Slots::free) {
        Some(0) => backwards(request),
        _ => Reply::json(503, "{}"),
    })
    .await;
    let slots = told.get_or_init(|| Slots::of_server(&server.base_url(), NonZeroUsize::MIN));
    embedder(&server).batch(NonZeroUsize::MIN).embed(&["1", "2"]).await.expect("vectors");
    assert_eq!(slots.free(), 1);
}

#[tokio::test]
async fn tokens_are_counted_over_all_batches_where_the_server_tells() {
    let server = server(backwards).await;
    let embedded = embedder(&server).batch(NonZeroUsize::MIN).embed_counted(&["1", "2", "3"]).await.expect("vectors");
    assert_eq!((embedded.vectors.len(), embedded.tokens), (3, Some(3)));

    let silent = self::server(|_| Reply::json(200, r#"{"data": [{"index": 0, "embedding": [0.5]}]}"#)).await;
    let embedded = embedder(&silent).embed_counted(&["1"]).await.expect("a vector");
    assert_eq!(embedded.tokens, None);
}
