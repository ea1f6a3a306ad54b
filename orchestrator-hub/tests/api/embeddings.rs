use crate::wire::changed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hub_rig::{Rig, json, service};
use orchestrator_config::file::Limits;
use orchestrator_config::{Embeddings, Model, Service, Texts};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_hub::Keys;
use serde_json::{Value, json};

/// A model whose vectors say how long a text is, and which one it was.
async fn rig() -> Rig {
    let embed = |_, texts: Texts| async move {
        let vector = |(place, text): (usize, &String)| vec![text.len() as f32, place as f32 + 0.1];
        let vectors: Vec<_> = texts.0.iter().enumerate().map(vector).collect();
        Ok::<_, WorkerError>(Embeddings { tokens: vectors.len() as u64 * 3, vectors })
    };
    let mut model = Model::new("embed");
    model.embeddings = Some(Pipeline::builder("embed").then("embed", embed).build().expect("a pipeline"));
    let mut chat = Model::new("mock");
    chat.chat.clone_from(&service(MockWorker::new(Script::answering("x"))).models[0].chat);
    Rig::serving(Service::new(vec![model, chat], Vec::new()), Keys::default(), Limits::default(), None).await
}

fn texts(input: &Value) -> Value {
    json!({"model": "embed", "input": input})
}

#[tokio::test]
async fn each_text_has_a_vector_in_order() {
    let rig = rig().await;
    let told = json(rig.post("/v1/embeddings", texts(&json!(["a", "bcd"]))).await).await;
    let expected = json!([
        {"object": "embedding", "index": 0, "embedding": [1.0, 0.1]},
        {"object": "embedding", "index": 1, "embedding": [3.0, 1.1]},
    ]);
    assert_eq!((&told["data"], &told["object"]), (&expected, &json!("list")));
    assert_eq!(told["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}));
    assert_eq!(json(rig.post("/v1/embeddings", texts(&json!("abcd"))).await).await["data"][0]["embedding"][0], 4.0);
}

#[tokio::test]
async fn vectors_in_base64_hold_the_same_numbers() {
    let asked = changed(texts(&json!("abcd")), json!({"encoding_format": "base64", "dimensions": 2}));
    let told = json(rig().await.post("/v1/embeddings", asked).await).await;
    let bytes = STANDARD.decode(told["data"][0]["embedding"].as_str().expect("a text")).expect("base64");
    assert_eq!(bytes, [4.0_f32.to_le_bytes(), 0.1_f32.to_le_bytes()].concat());
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused_by_its_name() {
    let rig = rig().await;
    for (change, status, param) in [
        (json!({"input": [1, 2]}), 400, "input"),
        (json!({"input": [[1, 2]]}), 400, "input"),
        (json!({"input": ["a", 2]}), 400, "input"),
        (json!({"input": []}), 400, "input"),
        (json!({"input": null}), 400, "input"),
        (json!({"dimensions": 3}), 400, "dimensions"),
        (json!({"encoding_format": "hex"}), 400, "encoding_format"),
        (json!({"model": "mock"}), 400, "model"),
        (json!({"model": "other"}), 404, "model"),
    ] {
        let response = rig.post("/v1/embeddings", changed(texts(&json!("a")), change.clone())).await;
        assert_eq!(response.status().as_u16(), status, "{change}");
        assert_eq!(json(response).await["error"]["param"], param, "{change}");
    }
}
