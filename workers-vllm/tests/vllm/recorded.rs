//! Servers and requests out of recorded exchanges.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::request::{Message, PromptRequest, RequestOptions};
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_core::token::{Finish, TokenEvent, TokenStream};
use orchestrator_core::worker::InferenceRequest;
use serde_json::Value;
use workers_vllm::{Vllm, VllmBuilder};

use crate::traces::{self, Trace};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const COMPLETIONS: &str = "/v1/completions";

/// The exchanges of vLLM.
pub(crate) fn all() -> Vec<Trace> {
    traces::all().into_iter().filter(|trace| trace.name.starts_with("vllm/")).collect()
}

pub(crate) fn load(name: &str) -> Trace {
    traces::load(&format!("vllm/{name}"))
}

/// Answers as the server did: the same status, the same body, in the same chunks; what was cut, is cut.
pub(crate) fn reply(trace: &Trace) -> Reply {
    if !trace.event_stream {
        return Reply::json(trace.status, trace.response());
    }
    let start = Reply::chunked(trace.status, "text/event-stream; charset=utf-8");
    let reply = trace.chunks.iter().fold(start, Reply::chunk);
    if is_whole(trace) { reply.last_chunk() } else { reply.close() }
}

pub(crate) fn is_whole(trace: &Trace) -> bool {
    trace.response().ends_with(b"data: [DONE]\n\n")
}

/// A server that says what it is as vLLM did, and leaves the other routes to the test.
pub(crate) async fn server(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> ScriptedServer {
    let routes = ["models", "version", "tokenize", "health", "metrics", "load"].map(load);
    let known: BTreeMap<_, _> = routes.into_iter().map(|trace| (trace.path.clone(), reply(&trace))).collect();
    let script = move |request: &Request| match known.get(request.path()) {
        Some(reply) => reply.clone(),
        None => answer(request),
    };
    ScriptedServer::start(script).await.expect("a port")
}

/// A server that answers every question for tokens with one exchange.
pub(crate) async fn server_of(name: &str) -> ScriptedServer {
    let recorded = reply(&load(name));
    server(move |_| recorded.clone()).await
}

pub(crate) fn builder(server: &ScriptedServer) -> VllmBuilder {
    Vllm::builder(server.base_url())
}

pub(crate) async fn connect(server: &ScriptedServer) -> Vllm {
    Vllm::connect(server.base_url()).await.expect("connects")
}

pub(crate) fn request(prompt: impl Into<PromptRequest>) -> InferenceRequest {
    InferenceRequest::new(prompt.into(), Context::standalone(RequestOptions::new()))
}

/// What was asked for tokens last, as JSON.
pub(crate) fn asked(server: &ScriptedServer) -> Value {
    let seen = server.seen();
    let of_tokens = |request: &&Request| [CHAT, COMPLETIONS].contains(&request.path());
    let mut requests = seen.exchanges.iter().map(|exchange| &*exchange.request);
    requests.rfind(of_tokens).expect("a request").json()
}

/// Turns a recorded request into one of ours: what has a type there is set by it, the rest is the vendor's.
pub(crate) fn prompt(recorded: &Value) -> PromptRequest {
    let mut fields = recorded.as_object().expect("an object").clone();
    let mut prompt = match fields.remove("prompt") {
        Some(text) => PromptRequest::raw(text.as_str().expect("a text")),
        None => PromptRequest::from_messages(messages(&fields.remove("messages").expect("messages"))),
    };
    for (name, value) in fields {
        prompt = match name.as_str() {
            "model" => prompt.model(value.as_str().expect("a name")),
            "max_tokens" => prompt.max_tokens(limit(&value)),
            "temperature" => prompt.temperature(value.to_string().parse().expect("a number")),
            "seed" => prompt.seed(value.as_u64().expect("a number")),
            "stream" | "stream_options" => prompt,
            _ => prompt.vendor(name, value),
        };
    }
    prompt
}

fn limit(value: &Value) -> NonZeroU32 {
    let tokens = value.as_u64().and_then(|tokens| u32::try_from(tokens).ok());
    tokens.and_then(NonZeroU32::new).expect("a number of tokens")
}

fn messages(recorded: &Value) -> Vec<Message> {
    let message = |message: &Value| {
        let text = message["content"].as_str().expect("a text");
        match message["role"].as_str().expect("a role") {
            "system" => Message::system(text),
            "user" => Message::user(text),
            role => panic!("`{role}` is in no recorded request"),
        }
    };
    recorded.as_array().expect("a list").iter().map(message).collect()
}

/// Everything that comes of an answer.
pub(crate) struct Answer {
    pub(crate) events: Vec<TokenEvent>,
    pub(crate) end: Result<Finish, WorkerError>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        self.events.iter().map(TokenEvent::text).collect()
    }

    pub(crate) fn token_ids(&self) -> Vec<u32> {
        let ids = |event: &TokenEvent| match event {
            TokenEvent::Text(text) => text.token_ids().to_vec(),
            _ => Vec::new(),
        };
        self.events.iter().flat_map(ids).collect()
    }
}

pub(crate) async fn read(mut stream: TokenStream) -> Answer {
    let mut events = Vec::new();
    loop {
        match stream.next().await.expect("an end, however it is") {
            Ok(TokenEvent::Finish(finish)) => return Answer { events, end: Ok(finish) },
            Ok(event) => events.push(event),
            Err(error) => return Answer { events, end: Err(error) },
        }
    }
}
