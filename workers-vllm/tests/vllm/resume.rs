use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::request::{Image, Message, PromptRequest, ResponseFormat, Tool};
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use orchestrator_core::worker::{InferenceRequest, ModelWorker, Prefix};
use serde_json::{Value, json};

use crate::recorded::{self, CHAT, COMPLETIONS, asked, connect, request};

fn begun(prompt: impl Into<PromptRequest>, prefix: Prefix) -> InferenceRequest {
    let mut request = request(prompt);
    request.prefix = Some(prefix);
    request
}

async fn ask(request: InferenceRequest) -> ScriptedServer {
    let server = recorded::server_of("completions_stream_usage").await;
    connect(&server).await.infer(request).await.expect("accepted");
    server
}

fn tokenized(server: &ScriptedServer) -> Vec<Value> {
    server.seen().on("/tokenize").map(|exchange| exchange.request.json()).collect()
}

#[tokio::test]
async fn an_answer_is_gone_on_with_by_the_ids_of_its_tokens() {
    let prompt = PromptRequest::new("hello")
        .vendor("chat_template_kwargs", json!({"enable_thinking": false}))
        .vendor("top_k", 5);
    let server = ask(begun(prompt, Prefix::new("the").token_ids(vec![7, 8]))).await;
    let expected = json!({
        "model": "tiny",
        "messages": [{"role": "user", "content": "hello"}],
        "add_generation_prompt": true,
        "chat_template_kwargs": {"enable_thinking": false},
    });
    assert_eq!(tokenized(&server), [expected]);
    let sent = asked(&server);
    assert_eq!(sent["prompt"], json!([402, 364, 379, 334, 7, 8]), "those of the prompt, and of the answer");
    assert_eq!((&sent["top_k"], sent.get("chat_template_kwargs")), (&5.into(), None));
    assert_eq!(sent["return_token_ids"], true, "it may break off again");
    assert_eq!(server.seen().on(CHAT).count(), 0);
}

#[tokio::test]
async fn a_raw_prompt_is_tokenized_as_it_is() {
    let server = ask(begun(PromptRequest::raw("the quick brown fox"), Prefix::new("x").token_ids(vec![9]))).await;
    let recorded: Value = serde_json::from_slice(&recorded::load("tokenize").request).expect("JSON");
    assert_eq!(tokenized(&server), [recorded]);
    assert_eq!(asked(&server)["prompt"], json!([402, 364, 379, 334, 9]));
}

#[tokio::test]
async fn marks_are_added_to_every_prompt_as_the_caller_says() {
    for prompt in [PromptRequest::new("hello"), PromptRequest::raw("hello")] {
        let prompt = prompt.vendor("add_special_tokens", false);
        let server = ask(begun(prompt, Prefix::new("x").token_ids(vec![9]))).await;
        assert_eq!(tokenized(&server)[0]["add_special_tokens"], false);
    }
    let raw = PromptRequest::raw("hello").vendor("add_special_tokens", false);
    assert_eq!(asked(&ask(request(raw)).await)["add_special_tokens"], false);
}

#[tokio::test]
async fn an_answer_is_gone_on_with_by_its_text() {
    let server = ask(begun("hello", Prefix::new("the fox"))).await;
    let sent = asked(&server);
    assert_eq!(
        sent["messages"],
        json!([{"role": "user", "content": "hello"}, {"role": "assistant", "content": "the fox"}])
    );
    assert_eq!((&sent["continue_final_message"], &sent["add_generation_prompt"]), (&true.into(), &false.into()));

    let raw = ask(begun(PromptRequest::raw("once "), Prefix::new("upon"))).await;
    assert_eq!((&asked(&raw)["prompt"], asked(&raw).get("return_token_ids")), (&"once upon".into(), None));
    assert_eq!(raw.seen().on(COMPLETIONS).count(), 1);
    assert!(tokenized(&server).is_empty() && tokenized(&raw).is_empty());
}

#[tokio::test]
async fn an_answer_that_the_caller_began_is_one_message() {
    let prompt = || {
        let messages = [Message::user("hello"), Message::assistant("The ")];
        PromptRequest::from_messages(messages).vendor("continue_final_message", true)
    };
    let sent = asked(&ask(begun(prompt(), Prefix::new("fox"))).await);
    assert_eq!(sent["messages"][1], json!({"role": "assistant", "content": "The fox"}));
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(2));

    let server = ask(begun(prompt(), Prefix::new("fox").token_ids(vec![3]))).await;
    let tokenized = &tokenized(&server)[0];
    assert_eq!(tokenized["add_generation_prompt"], false);
    assert_eq!(tokenized["continue_final_message"], true);
}

#[tokio::test]
async fn a_begun_message_of_several_parts_has_one_more() {
    let begun_message = Message::assistant(Image::new("https://example.com/fox.png")).part("The ");
    let prompt = PromptRequest::from_messages([begun_message]).vendor("continue_final_message", true);
    let sent = asked(&ask(begun(prompt, Prefix::new("fox"))).await);
    let texts: Vec<_> = (0..3).map(|part| sent["messages"][0]["content"][part]["text"].clone()).collect();
    assert_eq!(texts, [Value::Null, "The ".into(), "fox".into()]);
}

#[tokio::test]
async fn pictures_have_no_ids() {
    let picture = Message::user("what is it?").part(Image::new("data:image/png;base64,AA=="));
    let prompt = PromptRequest::from_messages([picture]);
    let server = ask(begun(prompt, Prefix::new("a fox").token_ids(vec![7]))).await;
    assert_eq!(asked(&server)["messages"][1]["content"], "a fox");
    assert!(tokenized(&server).is_empty());
}

#[tokio::test]
async fn nothing_is_gone_on_with_where_there_is_nothing() {
    let format = ResponseFormat::Json;
    let server = ask(begun(PromptRequest::new("hello").response_format(format), Prefix::new(""))).await;
    assert_eq!(asked(&server).get("continue_final_message"), None);
}

#[tokio::test]
async fn answers_with_a_form_are_not_gone_on_with() {
    let tool = Tool { name: "weather".to_owned(), description: String::new(), parameters: json!({}) };
    let prompts = [
        PromptRequest::new("hello").tool(tool),
        PromptRequest::new("hello").response_format(ResponseFormat::Json),
        PromptRequest::new("hello").vendor("structured_outputs", json!({"regex": "a+"})),
        PromptRequest::raw("hello").vendor("guided_json", json!({})),
    ];
    let server = recorded::server_of("completions_stream_usage").await;
    let worker = connect(&server).await;
    for prefix in [Prefix::new("{"), Prefix::new("{").token_ids(vec![1])] {
        for prompt in prompts.clone() {
            let error = worker.infer(begun(prompt, prefix.clone())).await.expect_err("refused");
            assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
        }
    }
    assert_eq!(server.seen().on(COMPLETIONS).count() + server.seen().on(CHAT).count(), 0);
}

#[tokio::test]
async fn an_answer_that_may_still_be_reasoning_is_not_gone_on_with() {
    let server = recorded::server_of("completions_stream_usage").await;
    let only_ids = Prefix::new("").token_ids(vec![7]);
    let error = connect(&server).await.infer(begun("hello", only_ids.clone())).await.expect_err("refused");
    assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
    let raw = ask(begun(PromptRequest::raw("the quick brown fox"), only_ids)).await;
    assert_eq!(asked(&raw)["prompt"], json!([402, 364, 379, 334, 7]), "nobody takes reasoning out of it");
}

/// As its sources say: no such stream was recorded.
#[tokio::test]
async fn ids_come_with_the_text_and_go_back_as_a_prefix() {
    let chunk = |text: &str, ids: &[u32]| {
        let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": null, "token_ids": ids});
        format!("data: {}\n\n", json!({"choices": [choice]}))
    };
    let cut = [chunk("the", &[11]), chunk("", &[12]), chunk(" \u{e9}", &[13, 14])].concat();
    let server = recorded::server(move |request| match request.path() {
        CHAT => Reply::chunked(200, "text/event-stream").chunk(&cut).close(),
        _ => recorded::reply(&recorded::load("completions_stream_usage")),
    })
    .await;
    let worker = recorded::builder(&server).with_token_ids().connect().await.expect("connects");
    let first = recorded::read(worker.infer(request("hello")).await.expect("accepted")).await;
    assert_eq!(first.end.as_ref().expect_err("cut").kind(), WorkerErrorKind::StreamCut);
    let prefix = Prefix::new(first.text()).token_ids(first.token_ids());
    assert_eq!(prefix, Prefix::new("the \u{e9}").token_ids(vec![11, 12, 13, 14]));
    let rest = worker.infer(begun("hello", prefix)).await.expect("accepted");
    assert_eq!(recorded::read(rest).await.text(), "rust\u{18}/e");
    assert_eq!(asked(&server)["prompt"], json!([402, 364, 379, 334, 11, 12, 13, 14]));
}

#[tokio::test]
async fn a_server_that_does_not_say_its_tokens_breaks_the_protocol() {
    let server = ScriptedServer::start(|_| Reply::json(200, r#"{"count":4}"#)).await.expect("a port");
    let worker = recorded::builder(&server).build().expect("well set");
    let error = worker.infer(begun("hello", Prefix::new("a").token_ids(vec![1]))).await.expect_err("no tokens");
    assert_eq!(error.kind(), WorkerErrorKind::Protocol);
}
