use orchestrator_core::prelude::*;
use orchestrator_core::request::ResponseFormat;
use serde_json::{Value, json};
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{ask, call, greedy};

async fn workers(server: &LlamaServer) -> Result<[LlamaCpp; 2], WorkerError> {
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    Ok([LlamaCpp::connect(server.base_url()).await?, native])
}

pub(crate) async fn schemas_hold_on_both_routes(server: &LlamaServer) -> TestResult {
    let schema = json!({
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "count": {"enum": [1, 2, 3]}},
        "required": ["colour", "count"],
        "additionalProperties": false,
    });
    let format = ResponseFormat::JsonSchema { name: "thing".to_owned(), schema };
    for worker in workers(server).await? {
        let prompt = greedy(PromptRequest::new("what is it?").response_format(format.clone()), 200);
        let answer = ask(&worker, call(prompt, None)).await?;
        let thing: Value = serde_json::from_str(&answer.text)?;
        assert!(["red", "green"].iter().any(|colour| thing["colour"] == *colour), "{thing}");
        assert!((1..=3).any(|count| thing["count"] == count), "{thing}");
        assert_eq!(answer.finish.reason, FinishReason::Stop);
    }
    Ok(())
}

pub(crate) async fn grammars_hold_on_both_routes(server: &LlamaServer) -> TestResult {
    for worker in workers(server).await? {
        let prompt = PromptRequest::new("is it?").vendor("grammar", r#"root ::= "yes, it is" | "no, it is not""#);
        let answer = ask(&worker, call(greedy(prompt, 50), None)).await?;
        assert!(["yes, it is", "no, it is not"].contains(&&*answer.text), "{:?}", answer.text);
    }
    Ok(())
}
