//! Frames as servers send them, and what becomes of them.

use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use orchestrator_core::token::{Finish, FinishReason, TokenEvent, ToolCallDelta, Usage};
use serde_json::{Value, json};

use crate::answer::tokens;
use crate::client::Frames;

/// Everything that comes of a body.
struct Answer {
    events: Vec<TokenEvent>,
    end: Result<Finish, WorkerError>,
}

impl Answer {
    fn text(&self) -> String {
        self.events.iter().map(TokenEvent::text).collect()
    }

    fn finish(self) -> Finish {
        self.end.expect("it was whole")
    }

    fn error(self) -> WorkerError {
        self.end.expect_err("it was not whole")
    }

    fn calls(&self) -> Vec<ToolCallDelta> {
        let call = |event: &TokenEvent| match event {
            TokenEvent::ToolCall(call) => {
                let mut call = (**call).clone();
                call.raw = None;
                Some(call)
            }
            _ => None,
        };
        self.events.iter().filter_map(call).collect()
    }
}

async fn read(body: String) -> Answer {
    let mut stream = tokens(Frames::of_body(body));
    let mut events = Vec::new();
    loop {
        match stream.next().await.expect("an end, however it is") {
            Ok(TokenEvent::Finish(finish)) => return Answer { events, end: Ok(finish) },
            Ok(event) => events.push(event),
            Err(error) => return Answer { events, end: Err(error) },
        }
    }
}

async fn answer(chunks: &[Value]) -> Answer {
    read(chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()).await
}

fn delta(delta: &Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta}]})
}

fn end(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

#[tokio::test]
async fn text_comes_with_its_frame_and_its_token_ids() {
    let chunk = json!({"choices": [{"text": "fox", "token_ids": [7, 8]}]});
    let read = answer(&[chunk.clone(), end("stop")]).await;
    let TokenEvent::Text(text) = &read.events[0] else { panic!("{:?}", read.events) };
    assert_eq!((text.text(), text.token_ids()), ("fox", [7, 8].as_slice()));
    assert_eq!(text.raw().expect("its frame"), chunk.to_string().as_bytes());
}

#[tokio::test]
async fn ids_of_tokens_without_text_come_with_the_next_text() {
    let piece = |delta: Value, ids: &[u32]| json!({"choices": [{"delta": delta, "token_ids": ids}]});
    let chunks = [
        piece(json!({"content": ""}), &[1]),
        piece(json!({"content": ""}), &[2, 3]),
        piece(json!({"content": "\u{fb02}"}), &[4]),
        piece(json!({"reasoning": "why", "content": "x"}), &[5]),
        piece(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}], "content": "y"}), &[6]),
        piece(json!({"content": "z"}), &[7]),
    ];
    let read = answer(&[&chunks[..], &[end("stop")]].concat()).await;
    let ids = |event: &TokenEvent| match event {
        TokenEvent::Text(text) | TokenEvent::Reasoning(text) => text.token_ids().to_vec(),
        _ => Vec::new(),
    };
    let ids: Vec<_> = read.events.iter().map(ids).filter(|ids| !ids.is_empty()).collect();
    assert_eq!(ids, [vec![1, 2, 3, 4], vec![5], vec![6], vec![7]]);
    assert_eq!(read.text(), "\u{fb02}xyz");
}

#[tokio::test]
async fn a_frame_that_says_more_than_its_text_is_not_kept_with_it() {
    let last = json!({"choices": [{"delta": {"content": "fox"}, "finish_reason": "length"}]});
    let both = delta(&json!({"content": "a", "reasoning": "b"}));
    let read = answer(&[both, last]).await;
    assert_eq!(read.text(), "afox");
    for event in &read.events {
        let (TokenEvent::Text(text) | TokenEvent::Reasoning(text)) = event else { panic!("{event:?}") };
        assert!(text.raw().is_none(), "{text:?}");
    }
    assert_eq!(read.finish().reason, FinishReason::Length);
}

#[tokio::test]
async fn empty_deltas_make_no_event() {
    let read = answer(&[
        delta(&json!({"role": "assistant", "content": null})),
        delta(&json!({"content": ""})),
        delta(&json!({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]})),
        json!({"choices": [], "usage": null}),
        end("stop"),
    ])
    .await;
    assert!(read.events.is_empty(), "{:?}", read.events);
}

#[tokio::test]
async fn reasoning_comes_before_the_text_of_its_frame() {
    let read = answer(&[delta(&json!({"content": "yes", "reasoning_content": "hm"})), end("stop")]).await;
    assert!(matches!(&read.events[0], TokenEvent::Reasoning(text) if text.text() == "hm"));
    assert_eq!(read.events[1].text(), "yes");
}

#[tokio::test]
async fn reasoning_and_calls_come_with_a_frame_that_says_the_same() {
    let call = |call: Value| delta(&json!({"tool_calls": [call]}));
    let opening = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}});
    let same = [
        delta(&json!({"reasoning_content": "hm"})),
        call(opening.clone()),
        call(json!({"index": 0, "function": {"arguments": "}"}})),
    ];
    // Names that come again, an index that is missing, arguments that are an object, and two calls at once.
    let other = [
        call(opening.clone()),
        call(json!({"id": "d", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 2, "id": "e", "function": {"name": "f", "arguments": {"a": 1}}})),
        delta(&json!({"tool_calls": [opening.clone(), opening]})),
    ];
    let read = answer(&[&same[..], &other[..], &[end("tool_calls")]].concat()).await;
    let raw = |event: &TokenEvent| match event {
        TokenEvent::Text(text) | TokenEvent::Reasoning(text) => text.raw().cloned(),
        TokenEvent::ToolCall(call) => call.raw.clone(),
        TokenEvent::Reset | TokenEvent::Finish(_) => None,
    };
    let frames: Vec<_> = read.events.iter().map(raw).collect();
    assert!(frames.len() > same.len() + 2 && frames[same.len()..].iter().all(Option::is_none), "{frames:?}");
    for (frame, sent) in frames.iter().zip(same) {
        assert_eq!(frame.as_deref(), Some(sent.to_string().as_bytes()));
    }
}

#[tokio::test]
async fn a_calls_id_and_name_come_once() {
    let piece = |arguments: &str| json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": arguments}});
    let read = answer(&[
        delta(&json!({"tool_calls": [piece("")]})),
        delta(&json!({"tool_calls": [piece("{\"a\":")]})),
        delta(&json!({"tool_calls": [{"index": 0, "id": "", "function": {"arguments": "1}"}}]})),
        end("tool_calls"),
    ])
    .await;
    let opening = ToolCallDelta::new(0, "").opening("c", "f");
    assert_eq!(read.calls(), [opening, ToolCallDelta::new(0, "{\"a\":"), ToolCallDelta::new(0, "1}")]);
    assert_eq!(read.finish().reason, FinishReason::ToolCalls);
}

#[tokio::test]
async fn calls_without_an_index_are_kept_apart_by_their_ids() {
    let whole = |id: &str| json!({"id": id, "function": {"name": "f", "arguments": {"a": 1}}});
    let read = answer(&[
        delta(&json!({"tool_calls": [whole("x"), whole("y")]})),
        delta(&json!({"tool_calls": [{"function": {"arguments": " "}}]})),
        end("tool_calls"),
    ])
    .await;
    let told: Vec<_> = read.calls().into_iter().map(|call| (call.index, call.id, call.arguments)).collect();
    let arguments = || "{\"a\":1}".to_owned();
    assert_eq!(told, [(0, Some("x".into()), arguments()), (1, Some("y".into()), arguments()), (1, None, " ".into())]);
}

#[tokio::test]
async fn other_choices_than_the_first_are_passed_over() {
    let both = json!({"choices": [
        {"index": 1, "delta": {"content": "b"}, "finish_reason": "length"},
        {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"},
    ]});
    let read = answer(&[json!({"choices": [{"index": 1, "delta": {"content": "x"}}]}), both]).await;
    assert_eq!(read.text(), "a");
    assert_eq!(read.finish().reason, FinishReason::Stop);
}

#[tokio::test]
async fn usage_comes_with_the_reason_or_behind_it_or_not_at_all() {
    let usage = json!({"prompt_tokens": 6, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}});
    let mut counted = Usage::new(6, 4);
    counted.cached_tokens = 5;
    let mut with = end("length");
    with["usage"] = usage.clone();
    let behind = json!({"choices": [], "usage": usage});
    assert_eq!(answer(&[with]).await.finish().usage, counted);
    assert_eq!(answer(&[end("length"), behind]).await.finish().usage, counted);
    assert_eq!(answer(&[end("length")]).await.finish().usage, Usage::default());
}

#[tokio::test]
async fn the_last_of_several_counts_holds() {
    let counting =
        |tokens: u64| json!({"choices": [{"text": "a"}], "usage": {"prompt_tokens": 1, "completion_tokens": tokens}});
    let read = answer(&[counting(1), counting(2), end("stop")]).await;
    assert_eq!(read.finish().usage, Usage::new(1, 2));
}

#[tokio::test]
async fn what_only_one_vendor_says_at_the_end_is_kept_by_its_names() {
    let last = json!({
        "id": "x", "created": 1, "provider": "p", "timings": {"predicted_ms": 1.5}, "nothing": null,
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": 7, "logprobs": null}],
    });
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 1, "cost": 0.25}});
    let vendor = answer(&[delta(&json!({"content": "a"})), last, usage]).await.finish().vendor.expect("some");
    let expected =
        json!({"provider": "p", "timings": {"predicted_ms": 1.5}, "stop_reason": 7, "usage": {"cost": 0.25}});
    assert_eq!(Value::Object(*vendor), expected);
    assert_eq!(answer(&[end("stop")]).await.finish().vendor, None);
}

#[tokio::test]
async fn an_answer_without_reason_and_without_done_is_cut() {
    let read = answer(&[delta(&json!({"content": "half"}))]).await;
    assert_eq!(read.text(), "half");
    assert_eq!(read.error().kind(), Kind::StreamCut);
    assert_eq!(answer(&[]).await.error().kind(), Kind::StreamCut);
}

#[tokio::test]
async fn an_answer_that_is_cut_in_an_event_is_cut() {
    let read = read("data: {\"choices\":[{\"text\":\"whole\"}]}\n\ndata: {\"choices\":[{\"te".into()).await;
    assert_eq!((read.text().as_str(), read.error().kind()), ("whole", Kind::StreamCut));
}

#[tokio::test]
async fn done_is_enough_of_an_end_and_is_not_needed_behind_a_reason() {
    let done = read("data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n".into()).await;
    assert_eq!(done.finish().reason, FinishReason::Stop);
    let reason = "data: {\"choices\":[{\"finish_reason\":\"length\"}]}\n\n";
    for rest in ["", "data: [DONE]", "data: [DO"] {
        assert_eq!(read(format!("{reason}{rest}")).await.finish().reason, FinishReason::Length, "{rest}");
    }
}

#[tokio::test]
async fn an_empty_reason_is_none() {
    let read = answer(&[end(""), delta(&json!({"content": "a"})), end("eos_token")]).await;
    assert_eq!(read.text(), "a");
    assert_eq!(read.finish().reason, FinishReason::Stop);
}

#[tokio::test]
async fn a_server_that_gives_up_says_so_by_its_reason() {
    assert_eq!(answer(&[end("abort")]).await.error().kind(), Kind::Transient);
    assert_eq!(answer(&[end("Cancelled")]).await.error().kind(), Kind::Transient);
}

#[tokio::test]
async fn a_reason_that_is_not_known_is_kept_as_the_server_says_it() {
    let finish = answer(&[end("Tired")]).await.finish();
    assert_eq!(finish.reason, FinishReason::Stop);
    assert_eq!(Value::Object(*finish.vendor.expect("the word")), json!({"finish_reason": "Tired"}));
}

#[tokio::test]
async fn a_failure_without_an_error_is_one_though_done_comes_behind_it() {
    for failure in [
        json!({"detail": "no such adapter"}),
        json!({"message": "no such adapter", "choices": []}),
        json!({"object": "error", "message": "no such adapter", "type": "BadRequestError", "code": 400}),
        json!({"type": "error", "reason": "no such adapter"}),
    ] {
        let error = read(format!("data: {failure}\n\ndata: [DONE]\n\n")).await.error();
        assert!(error.to_string().contains("no such adapter"), "{error}");
        let kind = if failure.get("code").is_some() { Kind::InvalidRequest } else { Kind::Transient };
        assert_eq!((error.kind(), error.body()), (kind, Some(failure.to_string().as_str())));
    }
    let piece = json!({"object": "error", "message": "?", "choices": [{"text": "a", "finish_reason": "stop"}]});
    assert_eq!(answer(&[piece]).await.text(), "a");
    let other = read("data: {\"type\":\"ping\"}\n\ndata: [DONE]\n\n".into()).await;
    assert_eq!(other.finish().reason, FinishReason::Stop);
}

#[tokio::test]
async fn an_event_that_is_named_error_is_one_whatever_it_says() {
    for said in ["out of memory", "{\"why\":\"out of memory\"}", "{\"choices\":[],\"x\":\"out of memory\"}"] {
        let error = read(format!("event: error\ndata: {said}\n\ndata: [DONE]\n\n")).await.error();
        assert_eq!((error.kind(), error.body()), (Kind::Transient, Some(said)));
        assert!(error.to_string().contains("out of memory"), "{error}");
    }
    let named = read("event: message\ndata: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: [DONE]\n\n".into()).await;
    assert_eq!(named.text(), "a");
}

#[tokio::test]
async fn half_a_character_is_replaced_and_what_is_around_it_stays() {
    let body = "data: {\"choices\":[{\"text\":\"a\\ud83d\"}]}\n\ndata: {\"choices\":[{\"text\":\"\\ude00b\"}]}\n\n";
    let read = read(format!("{body}data: [DONE]\n\n")).await;
    assert_eq!(read.text(), "a\u{fffd}\u{fffd}b");
}

#[tokio::test]
async fn what_is_odd_beside_the_text_does_not_matter() {
    let call = json!({"index": 0, "id": 17, "function": {"name": "f", "arguments": "{}"}});
    let mut last = end("tool_calls");
    last["usage"] = json!("none");
    let counted = json!({"choices": [], "usage": {"prompt_tokens": 2, "prompt_tokens_details": []}});
    let read = answer(&[delta(&json!({"tool_calls": [call]})), last, counted]).await;
    assert_eq!(read.calls()[0].id.as_deref(), Some("17"));
    assert_eq!(read.finish().usage, Usage::new(2, 0));
}

#[tokio::test]
async fn the_probabilities_of_the_last_text_are_kept() {
    let of = |text: &str| json!({"content": [{"token": text, "logprob": -0.5}]});
    let piece = json!({"choices": [{"delta": {"content": "a"}, "logprobs": of("a")}], "usage": {"prompt_tokens": 1}});
    let last = json!({"choices": [{"delta": {"content": "b"}, "logprobs": of("b"), "finish_reason": "stop"}]});
    let counted = json!({"choices": [{"delta": {}, "logprobs": of("c")}], "usage": {"prompt_tokens": 1}});
    let vendor = answer(&[piece, last, counted]).await.finish().vendor.expect("some");
    assert_eq!(Value::Object(*vendor), json!({"logprobs": of("b")}));
}

#[tokio::test]
async fn the_probability_of_a_part_of_a_character_comes_with_an_empty_text() {
    let chat = |text: &str, logprobs: Value| json!({"choices": [{"delta": {"content": text}, "logprobs": logprobs}]});
    let completion = |text: &str, logprobs: Value| json!({"choices": [{"text": text, "logprobs": logprobs}]});
    let tokens = |tokens: Value| json!({"content": tokens, "refusal": null});
    let same = tokens(json!([{"token": "?", "logprob": -0.5}]));
    // The frame before is the same but for its text, and those in between tell of no token.
    let told = [
        chat("a", same.clone()),
        chat("", same),
        completion("", json!({"tokens": ["?"], "token_logprobs": [-0.5]})),
        chat("\u{1f600}", tokens(json!([{"token": "?", "logprob": -1.5}]))),
    ];
    let silent = [chat("", tokens(json!([]))), chat("", Value::Null), completion("", json!("none"))];
    let read = answer(&[&told[..2], &silent[..], &told[2..], &[end("stop")]].concat()).await;
    let frame = |event: &TokenEvent| match event {
        TokenEvent::Text(text) => text.raw().cloned().expect("its frame"),
        other => panic!("{other:?}"),
    };
    assert_eq!(read.text(), "a\u{1f600}");
    let frames: Vec<_> = read.events.iter().map(frame).collect();
    assert_eq!(frames, told.map(|frame| frame.to_string()));
}

#[tokio::test]
async fn of_many_usages_the_last_one_tells_what_the_vendor_adds() {
    let counting = |usage: Value| json!({"choices": [{"text": "a"}], "usage": usage});
    let read = answer(&[counting(json!({"early": 1})), counting(json!({"late": 2})), end("stop")]).await;
    let vendor = read.finish().vendor.expect("some");
    assert_eq!(Value::Object(*vendor), json!({"usage": {"late": 2}}));
}

#[tokio::test]
async fn an_error_in_the_stream_is_classified_and_kept() {
    let failure = json!({"error": {"message": "out of memory", "type": "server_error", "code": 503}});
    let read = answer(&[delta(&json!({"content": "a"})), failure.clone()]).await;
    let error = read.error();
    assert_eq!((error.kind(), error.status()), (Kind::Overloaded, Some(503)));
    assert_eq!(error.body(), Some(failure.to_string().as_str()));
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_a_protocol_error_with_the_event() {
    let read = read("data: <html>\n\ndata: {\"choices\":[]}\n\n: more\n\n".into()).await;
    let error = read.error();
    assert_eq!((error.kind(), error.body()), (Kind::Protocol, Some("<html>")));
}
