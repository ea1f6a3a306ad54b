use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::request::PromptRequest;
use orchestrator_core::testing::server::Reply;
use orchestrator_core::token::{FinishReason, Usage};
use orchestrator_core::worker::ModelWorker;
use serde_json::{Value, json};

use crate::recorded::{self, Answer, CHAT, COMPLETIONS, asked, connect, prompt, request};
use crate::traces::Trace;

/// What a recorded stream says, read without any code of ours.
struct Told {
    text: String,
    reason: Option<String>,
    usage: Usage,
}

fn told(trace: &Trace) -> Told {
    let mut told = Told { text: String::new(), reason: None, usage: Usage::default() };
    let body = trace.response();
    for event in String::from_utf8_lossy(&body).split("\n\n") {
        let Some(chunk) = event.strip_prefix("data: ") else { continue };
        // What was cut in an event has half of one at its end, and all of them end with `[DONE]`.
        let Ok(chunk) = serde_json::from_str::<Value>(chunk) else { continue };
        let choice = &chunk["choices"][0];
        let text = choice["text"].as_str().or(choice["delta"]["content"].as_str());
        told.text += text.unwrap_or_default();
        told.reason = choice["finish_reason"].as_str().map(str::to_owned).or(told.reason);
        if let Some(usage) = chunk["usage"].as_object() {
            let count = |name: &str| usage[name].as_u64().expect("a count");
            told.usage = Usage::new(count("prompt_tokens"), count("completion_tokens"));
        }
    }
    told
}

fn of_tokens(trace: &Trace) -> bool {
    trace.status == 200 && [CHAT, COMPLETIONS].contains(&trace.path.as_str())
}

async fn answer(trace: &Trace) -> Answer {
    let reply = recorded::reply(trace);
    let server = recorded::server(move |_| reply.clone()).await;
    let asked: Value = serde_json::from_slice(&trace.request).expect("JSON");
    let stream = connect(&server).await.infer(request(prompt(&asked))).await.expect("accepted");
    recorded::read(stream).await
}

#[tokio::test]
async fn every_recorded_stream_is_read_to_its_end() {
    let mut whole = 0;
    for trace in recorded::all().iter().filter(|trace| of_tokens(trace) && trace.event_stream) {
        let (answer, told) = (answer(trace).await, told(trace));
        assert_eq!(answer.text(), told.text, "{}", trace.name);
        if !recorded::is_whole(trace) {
            let error = answer.end.expect_err(&trace.name);
            assert_eq!(error.kind(), WorkerErrorKind::StreamCut, "{}", trace.name);
            continue;
        }
        let finish = answer.end.expect(&trace.name);
        assert_eq!(
            (Some(finish.reason.as_str()), finish.usage),
            (told.reason.as_deref(), told.usage),
            "{}",
            trace.name
        );
        whole += 1;
    }
    assert!(whole >= 20, "{whole} whole streams");
}

#[tokio::test]
async fn what_is_asked_says_what_was_recorded() {
    let mut seen = 0;
    for trace in recorded::all().iter().filter(|trace| of_tokens(trace)) {
        let server = recorded::server_of("chat_stream_usage").await;
        let recorded: Value = serde_json::from_slice(&trace.request).expect("JSON");
        connect(&server).await.infer(request(prompt(&recorded))).await.expect("accepted");
        let mut sent = asked(&server);
        for (field, value) in recorded.as_object().expect("an object") {
            let said = sent.as_object_mut().expect("an object").remove(field).unwrap_or_default();
            match (field.as_str(), value.as_f64()) {
                // We always ask for the usage, and never more than once.
                ("stream_options", _) => assert_eq!(said["include_usage"], true, "{}", trace.name),
                (_, Some(number)) => assert_eq!(said.as_f64(), Some(number), "{} {field}", trace.name),
                _ => assert_eq!(&said, value, "{} {field}", trace.name),
            }
        }
        let more: Vec<_> = sent.as_object().expect("an object").keys().map(String::as_str).collect();
        let ours = ["stream", "stream_options"];
        assert!(more.iter().all(|field| ours.contains(field)), "{}: {more:?}", trace.name);
        seen += 1;
    }
    assert!(seen >= 30, "{seen} requests");
}

#[tokio::test]
async fn a_whole_exchange_of_each_route() {
    let chat = answer(&recorded::load("chat_stream_usage")).await;
    assert_eq!(chat.text(), "wnz\u{fffd}\u{fffd} st!");
    let finish = chat.end.expect("whole");
    assert_eq!((finish.reason, finish.usage), (FinishReason::Length, Usage::new(17, 6)));

    let completion = answer(&recorded::load("completions_stream_usage")).await;
    assert_eq!(completion.text(), "rust\u{18}/e");
    assert_eq!(completion.end.expect("whole").usage, Usage::new(6, 4));
}

#[tokio::test]
async fn what_the_server_says_at_the_end_is_kept() {
    let choice = json!({
        "index": 0, "text": "a", "finish_reason": "stop", "stop_reason": 128_009, "prompt_token_ids": [1, 2], "token_ids": [3],
    });
    let body = format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [choice], "kv_transfer_params": null}));
    let server = recorded::server(move |_| Reply::chunked(200, "text/event-stream").chunk(&body).last_chunk()).await;
    let stream = connect(&server).await.infer(request(PromptRequest::raw("b"))).await.expect("accepted");
    let answer = recorded::read(stream).await;
    assert_eq!(answer.token_ids(), [3]);
    let vendor = answer.end.expect("whole").vendor.expect("a reason of its own");
    assert_eq!(Value::Object(*vendor), json!({"stop_reason": 128_009}));
}
