//! The catalogue over TCP: the worker of OpenAI's API and scripted servers, with limits scaled down.
//!
//! The running clock, as sockets need it: limits that shall pass take a few hundred milliseconds.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use prompt_orchestrator::openai::OpenAi;
use prompt_orchestrator::pool::Pace;
use prompt_orchestrator::testing::server::{Reply, Request, ScriptedServer, Seen};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::catalogue::CATALOGUE;
use crate::common::count;
use crate::fleet::{Actor, Fleet, Limits, SLOTS};
use crate::scripted::actor;
use crate::story::{Act, Begun, PROMPT_TOKENS, Story, WORDS, word};
use crate::told::Told;

/// Where the answers are asked for.
pub(crate) const ROUTE: &str = "/v1/chat/completions";

/// No story takes longer with these limits, however slow the machine is.
const LONGEST: Duration = Duration::from_secs(15);

/// How many stories are played at once.
const AT_ONCE: usize = 6;

/// The catalogue's limits, scaled down; how often somebody may be asked is not.
fn limits() -> Limits {
    let pace = Pace::new().backoff(Duration::from_millis(20), Duration::from_millis(50));
    Limits { first_token: Duration::from_millis(500), between_tokens: Duration::from_millis(500), pace }
}

/// A server that plays its part.
pub(crate) async fn server(acts: &'static [Act]) -> ScriptedServer {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let script = move |request: &Request| {
        if request.path() != ROUTE {
            return Reply::json(404, r#"{"error":{"message":"no such route","type":"not_found_error","code":404}}"#);
        }
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        reply(acts[call.min(acts.len() - 1)])
    };
    ScriptedServer::start(script).await.expect("a port")
}

/// The worker of a server, with a context of so many tokens.
pub(crate) fn worker(name: &str, server: &ScriptedServer, context: u64) -> OpenAi {
    let builder = OpenAi::builder().base_url(format!("{}/v1", server.base_url())).name(name).context_length(context);
    builder.key("none").model("scripted").slots(count(SLOTS)).build().expect("the settings can be used")
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(delta: &Value, finish: &Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]})
}

/// The head of a stream, and so many words.
fn says(words: usize) -> Reply {
    let head = Reply::chunked(200, "text/event-stream");
    (0..words).fold(head, |reply, place| reply.chunk(event(&chunk(&json!({"content": word(place)}), &Value::Null))))
}

/// Why it has finished, and the usage.
fn ends(reply: Reply) -> Reply {
    let mut usage = chunk(&Value::Null, &Value::Null);
    usage["choices"] = json!([]);
    let total = PROMPT_TOKENS + WORDS as u64;
    usage["usage"] = json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": WORDS, "total_tokens": total});
    reply.chunk(event(&chunk(&json!({}), &"stop".into()))).chunk(event(&usage))
}

fn refuses(status: u16, message: &str, code: &str, headers: &[(&str, &str)]) -> Reply {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    Reply::full(status, &[headers, &[("content-type", "application/json")]].concat(), error.to_string())
}

fn reply(act: Act) -> Reply {
    match act {
        Act::Answers => ends(says(WORDS)).chunk("data: [DONE]\n\n").last_chunk(),
        Act::Limited(None) => refuses(429, "slow down", "rate_limit_exceeded", &[]),
        Act::Limited(Some(seconds)) => {
            refuses(429, "slow down", "rate_limit_exceeded", &[("retry-after", &seconds.to_string())])
        }
        Act::Status(status) => refuses(status, "it broke", "server_error", &[]),
        Act::Resets => Reply::raw().reset(),
        Act::Silent => Reply::raw().stall(),
        Act::Late => says(0).delay(Duration::from_secs(20)).chunk("data: [DONE]\n\n").last_chunk(),
        Act::CutAfter(words) => says(words).close(),
        Act::StallsAfter(words) => says(words).stall(),
        Act::MalformedAfter(words) => says(words).chunk("data: {\"choices\": 7\n\n").stall(),
        Act::Unfinished => says(WORDS).last_chunk().close(),
        Act::WithoutMark => ends(says(WORDS)).last_chunk().close(),
        Act::TooLong => {
            let message =
                "This model's maximum context length is 2048 tokens. However, your messages resulted in 3009 tokens.";
            refuses(400, message, "context_length_exceeded", &[])
        }
        Act::Filtered => refuses(400, "The response was filtered.", "content_filter", &[]),
    }
}

/// When a server was asked for an answer.
pub(crate) fn called(seen: &Seen) -> Vec<Instant> {
    seen.on(ROUTE).map(|exchange| exchange.received).collect()
}

/// Plays a story with a fallback that is an OpenAI server, or a scripted worker that goes on with begun answers.
async fn play(story: &Story, begun: Begun) -> Vec<String> {
    let primary = server(story.primary).await;
    let fallback = server(story.fallback).await;
    let actor: Actor = actor("fallback", story.fallback, 8_192).begun(begun);
    let first = worker("primary", &primary, 2_048);
    let fleet = match begun {
        Begun::GoesOn => Fleet::of(first, actor.clone(), limits()),
        _ => Fleet::of(first, worker("fallback", &fallback, 8_192), limits()),
    };
    let told = Told::by(&fleet).await;
    let of_fallback = if begun == Begun::GoesOn { actor.called() } else { called(&fallback.seen()) };
    let mut complaints = told.complaints(story, begun, &[called(&primary.seen()), of_fallback]);
    if told.took > LONGEST {
        complaints.push(format!("{}, the fallback {begun:?}: it took {:?}", story.fault, told.took));
    }
    for server in [primary, fallback] {
        if server.wait_within(Duration::from_secs(5), Seen::is_idle).await.is_err() {
            complaints.push(format!("{}, the fallback {begun:?}: a server still works", story.fault));
        }
    }
    complaints
}

#[tokio::test]
async fn every_fault_on_the_wire_ends_in_the_whole_answer_or_in_one_clear_error() {
    let stories =
        [Begun::GoesOn, Begun::Cannot].into_iter().flat_map(|begun| CATALOGUE.iter().map(move |s| play(s, begun)));
    let complaints: Vec<Vec<String>> = stream::iter(stories).buffer_unordered(AT_ONCE).collect().await;
    let complaints = complaints.concat();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
