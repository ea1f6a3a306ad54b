use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use orchestrator_core::token::{Finish, TextDelta, TokenEvent, ToolCallDelta};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::answer::Wording;
use crate::fault::Fault;

/// Which of the two routes that generate text an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Completion,
}

/// What all objects of one answer begin with.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
}

impl Head {
    /// Names an answer at random.
    pub(super) fn new(route: Route, model: String) -> Self {
        let kind = match route {
            Route::Chat => "chatcmpl",
            Route::Completion => "cmpl",
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { id: format!("{kind}-{:024x}", fastrand::u128(..) >> 32), created: since.as_secs(), model }
    }
}

/// Puts the events of an answer as the events of a stream of OpenAI's.
///
/// What the server sent in the same dialect is handed on byte for byte. The first frame is looked at, so that all objects of the
/// stream have its id and its model.
pub(super) struct Chunks {
    route: Route,
    head: Head,
    include_usage: bool,
    /// Whether something was written.
    is_begun: bool,
    /// Whether the server's own frames are handed on.
    forwards: bool,
}

/// What is read of the first frame of a server.
#[derive(Deserialize)]
struct Frame {
    id: Option<String>,
    object: Option<String>,
    created: Option<u64>,
    model: Option<String>,
}

impl Chunks {
    pub(super) fn new(route: Route, head: Head, include_usage: bool) -> Self {
        Self { route, head, include_usage, is_begun: false, forwards: false }
    }

    fn begin(&mut self, raw: Option<&Bytes>, out: &mut BytesMut) {
        self.is_begun = true;
        self.forwards = raw.is_some_and(|raw| self.take_head(raw));
        if self.route == Route::Chat {
            self.choice(
                &json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}),
                out,
            );
        }
    }

    /// Takes over what a server calls its answer; `false` where it speaks another dialect.
    fn take_head(&mut self, raw: &[u8]) -> bool {
        let Ok(frame) = serde_json::from_slice::<Frame>(raw) else { return false };
        let object = match self.route {
            Route::Chat => "chat.completion.chunk",
            Route::Completion => "text_completion",
        };
        if frame.object.as_deref() != Some(object) {
            return false;
        }
        let Some(id) = frame.id.filter(|id| !id.is_empty()) else { return false };
        self.head.id = id;
        self.head.created = frame.created.unwrap_or(self.head.created);
        if let Some(model) = frame.model.filter(|model| !model.is_empty()) {
            self.head.model = model;
        }
        true
    }

    fn choice(&self, choice: &Value, out: &mut BytesMut) {
        self.chunk(std::slice::from_ref(choice), None, &Map::new(), out);
    }

    fn chunk(&self, choices: &[Value], usage: Option<&Value>, vendor: &Map<String, Value>, out: &mut BytesMut) {
        let object = match self.route {
            Route::Chat => "chat.completion.chunk",
            Route::Completion => "text_completion",
        };
        let Head { id, created, model } = &self.head;
        let chunk = Chunk { id, object, created: *created, model, choices, usage, vendor };
        event(&chunk, out);
    }

    fn text(&self, delta: &TextDelta, out: &mut BytesMut) {
        match (delta.raw(), self.route) {
            (Some(raw), _) if self.forwards => frame(raw, out),
            (_, Route::Chat) => {
                self.choice(&json!({"index": 0, "delta": {"content": delta.text()}, "finish_reason": null}), out);
            }
            (_, Route::Completion) => {
                self.choice(&json!({"index": 0, "text": delta.text(), "logprobs": null, "finish_reason": null}), out);
            }
        }
    }

    fn reasoning(&self, delta: &TextDelta, out: &mut BytesMut) {
        match (delta.raw(), self.route) {
            (Some(raw), _) if self.forwards => frame(raw, out),
            (_, Route::Chat) => {
                let delta = json!({"reasoning_content": delta.text()});
                self.choice(&json!({"index": 0, "delta": delta, "finish_reason": null}), out);
            }
            // That route has no word for it.
            (_, Route::Completion) => {}
        }
    }

    fn call(&self, delta: &ToolCallDelta, out: &mut BytesMut) {
        let mut call = json!({"index": delta.index, "function": {"arguments": delta.arguments}});
        if let Some(id) = &delta.id {
            call["id"] = id.as_str().into();
            call["type"] = "function".into();
        }
        if let Some(name) = &delta.name {
            call["function"]["name"] = name.as_str().into();
        }
        self.choice(&json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}), out);
    }
}

impl Wording for Chunks {
    fn delta(&mut self, event: &TokenEvent, out: &mut BytesMut) {
        if !self.is_begun {
            let raw = match event {
                TokenEvent::Text(delta) | TokenEvent::Reasoning(delta) => delta.raw(),
                _ => None,
            };
            self.begin(raw, out);
        }
        match event {
            TokenEvent::Text(delta) => self.text(delta, out),
            TokenEvent::Reasoning(delta) => self.reasoning(delta, out),
            TokenEvent::ToolCall(delta) => self.call(delta, out),
            TokenEvent::Reset | TokenEvent::Finish(_) => {}
        }
    }

    fn finish(&mut self, finish: &Finish, out: &mut BytesMut) {
        if !self.is_begun {
            self.begin(None, out);
        }
        if let Some(model) = finish.origin.as_ref().and_then(|origin| origin.model.as_ref()).filter(|_| !self.forwards)
        {
            self.head.model.clone_from(model);
        }
        let (of_choice, of_chunk) = vendor(finish);
        let empty = match self.route {
            Route::Chat => ("delta", json!({})),
            Route::Completion => ("text", "".into()),
        };
        let mut choice = Map::from_iter([("index".to_owned(), 0.into()), (empty.0.to_owned(), empty.1)]);
        choice.extend(of_choice);
        choice.insert("finish_reason".to_owned(), reason(finish).into());
        self.chunk(&[choice.into()], None, &of_chunk, out);
        if self.include_usage {
            self.chunk(&[], Some(&usage(finish)), &Map::new(), out);
        }
        out.put_slice(b"data: [DONE]\n\n");
    }

    fn fault(&mut self, fault: &Fault, out: &mut BytesMut) {
        event(&super::fault_body(fault), out);
    }
}

/// Returns the model that a server's frame says it is of.
pub(super) fn model(frame: &[u8]) -> Option<String> {
    let frame: Frame = serde_json::from_slice(frame).ok()?;
    frame.model.filter(|model| !model.is_empty())
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'a str,
    created: u64,
    model: &'a str,
    choices: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a Value>,
    #[serde(flatten)]
    vendor: &'a Map<String, Value>,
}

fn event(data: &impl Serialize, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    // JSON has no line breaks but escaped ones.
    serde_json::to_writer(out.writer(), data).expect("objects with text keys are JSON, and memory takes all of it");
    out.put_slice(b"\n\n");
}

/// Hands a server's frame on. One that was sent in several lines is sent so again: a line break would end it.
fn frame(raw: &[u8], out: &mut BytesMut) {
    out.reserve(raw.len() + 8);
    let mut rest = raw;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        out.put_slice(b"data: ");
        out.put_slice(&rest[..end.unwrap_or(rest.len())]);
        out.put_slice(b"\n");
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => break,
        }
    }
    out.put_slice(b"\n");
}

/// The server's own word for the reason where it has one.
pub(super) fn reason(finish: &Finish) -> &str {
    let own = finish.vendor.as_ref().and_then(|vendor| vendor.get("finish_reason")).and_then(Value::as_str);
    own.unwrap_or(finish.reason.as_str())
}

/// Tokens as OpenAI's API counts them, and what the server says of them beyond that.
pub(super) fn usage(finish: &Finish) -> Value {
    let tokens = &finish.usage;
    let mut usage = json!({
        "prompt_tokens": tokens.prompt_tokens,
        "completion_tokens": tokens.completion_tokens,
        "total_tokens": tokens.prompt_tokens + tokens.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": tokens.cached_tokens},
    });
    let more = finish.vendor.as_ref().and_then(|vendor| vendor.get("usage")).and_then(Value::as_object);
    if let (Some(usage), Some(more)) = (usage.as_object_mut(), more) {
        usage.extend(more.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    usage
}

/// What the server says at the end by its own names: of the choice, and of the answer.
pub(super) fn vendor(finish: &Finish) -> (Map<String, Value>, Map<String, Value>) {
    let mut of_choice = Map::new();
    let mut of_answer = Map::new();
    for (name, value) in finish.vendor.iter().flat_map(|vendor| vendor.iter()) {
        match name.as_str() {
            "finish_reason" | "usage" => {}
            "logprobs" | "stop_reason" => _ = of_choice.insert(name.clone(), value.clone()),
            "id" | "object" | "created" | "model" | "choices" => {}
            _ => _ = of_answer.insert(name.clone(), value.clone()),
        }
    }
    (of_choice, of_answer)
}
