//! What model servers do to a request, over HTTP from end to end: a model with a fallback, and without.
//!
//! The client gets a whole answer, which names the model that gave it, or one clear error: never half an answer that looks
//! whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_rig::{CHAT, Rig, ask};
use orchestrator_config::file::{Config, Limits};
use orchestrator_config::{Format, Parts};
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer, Seen};
use orchestrator_hub::Keys;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

const WORDS: [&str; 4] = ["to ", "be ", "or ", "not"];

/// What a server does to a call.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answers,
    /// A status, a message, and a `Retry-After`.
    Refuses(u16, &'static str, Option<u64>),
    /// Nobody listens.
    IsGone,
    Resets,
    Silent,
    /// Says so many words, and closes the connection.
    Cut(usize),
    /// Says so many words, and then nothing.
    Stalls(usize),
    /// Says so many words, and then what means nothing.
    Garbles(usize),
    /// Says all words, and closes without a word of the end.
    Unfinished,
    /// Says one word every 100 ms.
    Slow,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// A whole answer, with the name of the model that gave it.
    Whole(&'static str),
    /// One error with this status: nothing was sent before.
    Fails(u16),
    /// One error behind a part of the answer. Only who wants it as a whole gets the status.
    Breaks(u16),
    /// A stream fails so in mid-answer, and who has seen nothing of it gets the fallback's answer.
    Restarts,
}

use Act::*;
use End::*;

const TOO_LONG: &str =
    "This model's maximum context length is 2048 tokens. However, your messages resulted in 3009 tokens.";

/// The primary's acts, call by call; how it ends with a fallback that is well; and with one that does the same.
const STORIES: &[(&[Act], End, End)] = &[
    (&[Answers], Whole("primary"), Whole("primary")),
    (&[Slow], Whole("primary"), Whole("primary")),
    (&[IsGone], Whole("fallback"), Fails(503)),
    (&[Refuses(500, "it broke", None)], Whole("fallback"), Fails(502)),
    (&[Refuses(503, "busy", None)], Whole("fallback"), Fails(503)),
    (&[Refuses(503, "busy", Some(60))], Whole("fallback"), Fails(503)),
    (&[Refuses(429, "slow down", None)], Whole("fallback"), Fails(429)),
    (&[Refuses(429, "slow down", Some(60))], Whole("fallback"), Fails(429)),
    (&[Refuses(400, "`messages` is odd", None)], Fails(400), Fails(400)),
    (&[Refuses(401, "wrong key", None)], Whole("fallback"), Fails(502)),
    (&[Refuses(404, "no such model", None)], Whole("fallback"), Fails(404)),
    (&[Refuses(400, TOO_LONG, None)], Whole("fallback"), Fails(400)),
    (&[Resets], Whole("fallback"), Fails(502)),
    (&[Silent], Whole("fallback"), Fails(504)),
    (&[Cut(0)], Whole("fallback"), Fails(502)),
    (&[Cut(2)], Restarts, Breaks(502)),
    (&[Stalls(2)], Restarts, Breaks(504)),
    (&[Garbles(0)], Whole("fallback"), Fails(502)),
    (&[Garbles(2)], Restarts, Breaks(502)),
    (&[Unfinished], Restarts, Breaks(502)),
];

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(model: &str, delta: &Value, finish: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    event(&json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}))
}

/// The head of a stream, and so many words.
fn says(model: &str, words: usize, pause: Duration) -> Reply {
    let word = |word: &&str| chunk(model, &json!({"content": word}), &Value::Null);
    let head = Reply::chunked(200, "text/event-stream");
    WORDS[..words].iter().fold(head, |reply, next| reply.delay(pause).chunk(word(next)))
}

/// The model is what it was asked for.
fn reply(request: &Request, act: Act) -> Reply {
    let asked = request.json()["model"].clone();
    let model = asked.as_str().unwrap_or("none");
    let says = |words| says(model, words, Duration::ZERO);
    let ends =
        |reply: Reply| reply.chunk(chunk(model, &json!({}), &"stop".into())).chunk("data: [DONE]\n\n").last_chunk();
    match act {
        Answers => ends(says(WORDS.len())),
        Slow => ends(self::says(model, WORDS.len(), Duration::from_millis(100))),
        Refuses(status, message, after) => {
            let body = json!({"error": {"message": message, "type": "invalid_request_error"}}).to_string();
            let after = after.map(|after| after.to_string());
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(after.as_deref().map(|after| ("retry-after", after)));
            Reply::full(status, &headers, body)
        }
        IsGone | Resets => Reply::raw().reset(),
        Silent => Reply::raw().stall(),
        Cut(words) => says(words).close(),
        Stalls(words) => says(words).stall(),
        Garbles(words) => says(words).chunk("data: {\"choices\": 7\n\n").stall(),
        Unfinished => says(WORDS.len()).last_chunk().close(),
    }
}

/// A model server, or the address of none.
struct Played {
    server: Option<ScriptedServer>,
    url: String,
    /// A port at which nobody listens, kept from others.
    _kept: Option<TcpSocket>,
}

/// An address of none.
fn gone() -> Played {
    let kept = TcpSocket::new_v4().expect("a socket");
    kept.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let url = format!("http://{}/v1", kept.local_addr().expect("an address"));
    Played { server: None, url, _kept: Some(kept) }
}

async fn played(acts: &'static [Act]) -> Played {
    if matches!(acts, [IsGone]) {
        return gone();
    }
    let calls = AtomicUsize::new(0);
    let script = move |request: &Request| {
        if request.path() != CHAT {
            // It has no other routes: whether it is well is not known.
            return Reply::json(404, r#"{"error":{"message":"no such route","type":"not_found_error","code":404}}"#);
        }
        reply(request, acts[calls.fetch_add(1, Ordering::SeqCst).min(acts.len() - 1)])
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let url = format!("{}/v1", server.base_url());
    Played { server: Some(server), url, _kept: None }
}

fn worker(name: &str, played: &Played, context: u64) -> String {
    format!(
        "[workers.{name}]\nkind = 'openai-compatible'\nurl = '{}'\nmodel = '{name}'\nslots = 8\n\
         context_length = {context}\ntimeouts = {{ first_token = '2s', between_tokens = '2s' }}\n",
        played.url
    )
}

/// A model with a fallback, as a file declares it.
async fn site(primary: &Played, fallback: &Played) -> Rig {
    let models = "[[models]]\nname = 'mock'\nworker = 'primary'\nfallback = ['spare']\n\
        [[models]]\nname = 'spare'\nworker = 'fallback'\n";
    let file = worker("primary", primary, 2_048) + &worker("fallback", fallback, 8_192) + models;
    let config = Config::parse("test.toml", &file, Format::Toml, []).expect("a file without faults");
    let parts = Parts::connect(&config).await.expect("nobody has to answer yet");
    let service = parts.service().expect("workers that fit");
    Rig::serving(service, Keys::default(), Limits::default(), None).await
}

/// Says what of a whole answer is not as it should be.
fn whole(text: &str, model: &str, streams: bool) -> Option<String> {
    let (said, names, ends) = if streams {
        let chunks: Vec<Value> =
            text.split("data: ").filter_map(|data| serde_json::from_str(data.trim()).ok()).collect();
        let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        let names = chunks.iter().all(|chunk| chunk["model"] == model);
        (said, names, text.matches("\"finish_reason\":\"stop\"").count() == 1 && text.ends_with("data: [DONE]\n\n"))
    } else {
        let answer: Value = serde_json::from_str(text).unwrap_or_default();
        let choice = &answer["choices"][0];
        let said = choice["message"]["content"].as_str().unwrap_or_default().to_owned();
        (said, answer["model"] == model, choice["finish_reason"] == "stop")
    };
    (said != WORDS.concat() || !names || !ends).then(|| format!("no whole answer of {model}: {text}"))
}

/// Says what of a failure is not as it should be.
fn clear(status: u16, text: &str, expected: u16) -> Option<String> {
    let looks_whole = text.contains("[DONE]") || text.contains("\"finish_reason\":\"stop\"");
    let errors = text.matches("\"error\":{").count();
    let is_told = status == expected && (status != 200 || text.starts_with("data: "));
    (looks_whole || errors != 1 || !is_told).then(|| format!("no clear failure with {expected}: {status} {text}"))
}

/// Says what of the time after which a client may come back is not as it should be. `told` is what the model servers say.
fn comes_back(status: u16, after: Option<&str>, told: Option<u64>) -> Option<String> {
    let after = after.map(|after| after.parse::<u64>().expect("seconds"));
    let is_right = match told {
        Some(_) => after == told,
        None => after.is_some() == matches!(status, 429 | 503),
    };
    (!is_right).then(|| format!("{status}, and `Retry-After` is {after:?}"))
}

/// The seconds that all model servers tell.
fn told(acts: &[Act], with: &[Act]) -> Option<u64> {
    match (acts, with) {
        ([Refuses(_, _, after)], [Refuses(..)]) => *after,
        _ => None,
    }
}

async fn play(acts: &'static [Act], with: &'static [Act], end: End, streams: bool) -> Vec<String> {
    let (primary, fallback) = (played(acts).await, played(with).await);
    let rig = site(&primary, &fallback).await;
    let response = ask(&reqwest::Client::new(), &rig, streams).await.expect("a response");
    let status = response.status().as_u16();
    let after = response.headers().get("retry-after").cloned();
    let text = response.text().await.expect("a whole body");
    let mut complaints = vec![match end {
        Whole(model) => whole(&text, model, streams),
        Restarts if !streams => whole(&text, "fallback", streams),
        Restarts => clear(status, &text, 200),
        Breaks(_) if streams => clear(status, &text, 200),
        Fails(expected) | Breaks(expected) => clear(status, &text, expected),
    }];
    let after = after.as_ref().map(|after| after.to_str().expect("digits"));
    complaints.push(comes_back(status, after, told(acts, with)));
    for server in [primary.server, fallback.server].into_iter().flatten() {
        let idle = server.wait_within(Duration::from_secs(5), Seen::is_idle).await;
        complaints.push(idle.is_err().then(|| "a server still works".to_owned()));
    }
    rig.end().await;
    let named = |complaint| format!("{acts:?} and {with:?}, stream {streams}: {complaint}");
    complaints.into_iter().flatten().map(named).collect()
}

#[tokio::test]
async fn every_fault_ends_in_a_whole_answer_or_in_one_clear_error() {
    // Few: what takes long here shall be the model servers, and not this machine.
    const AT_ONCE: usize = 4;
    let both =
        STORIES.iter().flat_map(|(acts, end, alike)| [(*acts, &[Answers] as &[Act], *end), (*acts, *acts, *alike)]);
    let all = both.flat_map(|(acts, with, end)| [true, false].map(|streams| play(acts, with, end, streams)));
    let complaints: Vec<Vec<String>> = stream::iter(all).buffer_unordered(AT_ONCE).collect().await;
    let complaints = complaints.concat();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
