use crate::wire::changed;
use hub_rig::{Rig, json};
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Finish, FinishReason, TextDelta, TokenEvent, Usage};
use serde_json::{Value, json};

fn once() -> Value {
    json!({"model": "mock", "prompt": "once"})
}

#[tokio::test]
async fn what_would_change_the_answer_and_cannot_be_done_is_refused() {
    let rig = Rig::new(MockWorker::new(Script::answering("x"))).await;
    for (change, param) in [
        (json!({"n": 2}), "n"),
        (json!({"best_of": 2}), "best_of"),
        (json!({"echo": true}), "echo"),
        (json!({"suffix": "end"}), "suffix"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": null}), "prompt"),
        (json!({"messages": [{"role": "user", "content": "x"}]}), "messages"),
        (json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), "tools"),
    ] {
        let response = rig.post("/v1/completions", changed(once(), change.clone())).await;
        assert_eq!(response.status().as_u16(), 400, "{change}");
        assert_eq!(json(response).await["error"]["param"], param, "{change}");
    }
    let same = json!({"n": 1, "best_of": 1, "echo": false, "suffix": null, "prompt": ["once"], "tools": []});
    let told = json(rig.post("/v1/completions", changed(once(), same)).await).await;
    assert_eq!((&told["choices"][0]["text"], &told["object"]), (&json!("x"), &json!("text_completion")));
}

/// A worker whose frames, and whose end, say how likely their tokens were; the second is a part of a character, and has no
/// text.
fn likely(of: fn(&str) -> Value) -> MockWorker {
    let piece = |text: &str, token: &str| {
        let frame = json!({"choices": [{"index": 0, "text": text, "logprobs": of(token)}]});
        TokenEvent::Text(TextDelta::new(text).with_raw(frame.to_string().into()))
    };
    let mut finish = Finish::new(FinishReason::Stop, Usage::new(1, 3));
    finish.vendor = Some(Box::new([("logprobs".to_owned(), of("c"))].into_iter().collect()));
    MockWorker::new(Script::new().event(piece("a", "a")).event(piece("", "b")).event(TokenEvent::Finish(finish)))
}

#[tokio::test]
async fn probabilities_are_gathered_in_either_form() {
    let rig = Rig::new(likely(|text| json!({"tokens": [text], "token_logprobs": [-0.5], "text_offset": [1]}))).await;
    let told = json(rig.post("/v1/completions", changed(once(), json!({"logprobs": 1}))).await).await;
    let expected = json!({"tokens": ["a", "b", "c"], "token_logprobs": [-0.5, -0.5, -0.5], "text_offset": [1, 1, 1]});
    assert_eq!(told["choices"][0]["logprobs"], expected);

    let rig = Rig::new(likely(|text| json!({"content": [{"token": text, "logprob": -0.5}]}))).await;
    let asked = json!({"model": "mock", "messages": [{"role": "user", "content": "x"}], "logprobs": true});
    let told = json(rig.post("/v1/chat/completions", asked).await).await;
    let tokens = told["choices"][0]["logprobs"]["content"].as_array().expect("a list");
    assert_eq!(tokens.iter().map(|token| token["token"].clone()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn who_asks_for_no_probabilities_gets_none() {
    let rig = Rig::new(MockWorker::new(Script::answering("x"))).await;
    let told = json(rig.post("/v1/completions", once()).await).await;
    assert_eq!(told["choices"][0].get("logprobs"), Some(&Value::Null));
}
