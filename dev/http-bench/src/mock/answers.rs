use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

/// Text events of a short answer.
pub(crate) const SHORT: usize = 8;
/// Text events of a long answer.
pub(crate) const LONG: usize = 2_000;
/// Text events of a paced answer.
pub(crate) const PACED: usize = 300;
/// The time between two events of a paced answer.
pub(crate) const PACE: Duration = Duration::from_millis(10);

/// The model whose answers are short, and come at once.
pub(crate) const SHORT_MODEL: &str = "short";
/// The model whose answers are long, and come as fast as they are read.
pub(crate) const LONG_MODEL: &str = "long";
/// The model whose answers come an event at a time.
pub(crate) const PACED_MODEL: &str = "paced";

/// What the server reads of a request's body.
#[derive(Debug, Deserialize)]
struct Asked<'a> {
    model: &'a str,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// What is sent for a request.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// These bytes, at once.
    Whole(&'a [u8]),
    /// The head and the first event, then text events at intervals, then the last ones.
    Paced { first: &'a [u8], text: &'a [u8], last: &'a [u8] },
}

/// A streamed answer, with its usage at the end and without.
#[derive(Debug)]
struct Stream([Vec<u8>; 2]);

/// All that the server ever sends, as it goes over the wire.
#[derive(Debug)]
pub(crate) struct Answers {
    models: Vec<u8>,
    refused: Vec<u8>,
    json: Vec<u8>,
    short: Stream,
    long: Stream,
    first: Vec<u8>,
    text: Vec<u8>,
    last: [Vec<u8>; 2],
}

impl Answers {
    pub(super) fn new() -> Self {
        let content = " word".repeat(SHORT);
        let message =
            json!({"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"});
        let answer = json!({
            "choices": [message], "created": 1_763_764_800, "model": SHORT_MODEL, "object": "chat.completion",
            "id": ID, "usage": usage(SHORT),
        });
        let models =
            [SHORT_MODEL, LONG_MODEL, PACED_MODEL].map(|id| json!({"id": id, "object": "model", "owned_by": "bench"}));
        Self {
            models: whole("200 OK", &json!({"object": "list", "data": models})),
            refused: whole("404 Not Found", &json!({"error": {"message": "no such route or model", "code": 404}})),
            json: whole("200 OK", &answer),
            short: Stream([false, true].map(|usage| stream(SHORT, usage))),
            long: Stream([false, true].map(|usage| stream(LONG, usage))),
            first: beginning(),
            text: text_event(),
            last: [false, true].map(|usage| end(PACED, usage)),
        }
    }

    /// Chooses what is sent for a request.
    pub(super) fn to(&self, path: &str, body: &[u8]) -> Answer<'_> {
        if path == "/v1/models" {
            return Answer::Whole(&self.models);
        }
        match serde_json::from_slice::<Asked<'_>>(body) {
            Ok(asked) if path == "/v1/chat/completions" => self.completion(&asked),
            _ => Answer::Whole(&self.refused),
        }
    }

    fn completion(&self, asked: &Asked<'_>) -> Answer<'_> {
        let usage = usize::from(asked.stream_options.include_usage);
        match asked.model {
            SHORT_MODEL if !asked.stream => Answer::Whole(&self.json),
            SHORT_MODEL => Answer::Whole(&self.short.0[usage]),
            LONG_MODEL => Answer::Whole(&self.long.0[usage]),
            PACED_MODEL => Answer::Paced { first: &self.first, text: &self.text, last: &self.last[usage] },
            _ => Answer::Whole(&self.refused),
        }
    }
}

/// Ids of answers are as long as llama.cpp's.
const ID: &str = "chatcmpl-3cQ0hZ7s1yQbqkVtN4mJ8uXxwPpR2LdE";

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
    transfer-encoding: chunked\r\n\r\n";

fn whole(status: &str, body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nserver: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn stream(events: usize, usage: bool) -> Vec<u8> {
    [beginning(), text_event().repeat(events), end(events, usage)].concat()
}

fn beginning() -> Vec<u8> {
    let role = event(&choice("null", r#"{"role":"assistant","content":null}"#), "");
    [STREAM_HEAD.as_bytes(), &role].concat()
}

fn text_event() -> Vec<u8> {
    event(&choice("null", r#"{"content":" word"}"#), "")
}

fn end(events: usize, usage_asked: bool) -> Vec<u8> {
    let mut end = event(&choice(r#""stop""#, "{}"), "");
    if usage_asked {
        end.extend(event("", &format!(r#","usage":{}"#, usage(events))));
    }
    end.extend(chunk("data: [DONE]\n\n"));
    end.extend(b"0\r\n\r\n");
    end
}

fn choice(finish_reason: &str, delta: &str) -> String {
    format!(r#"{{"finish_reason":{finish_reason},"index":0,"delta":{delta}}}"#)
}

/// An event in the order of fields in which llama.cpp writes them.
fn event(choices: &str, more: &str) -> Vec<u8> {
    chunk(&format!(
        "data: {{\"choices\":[{choices}],\"created\":1763764800,\"id\":\"{ID}\",\"model\":\"bench\",\
         \"system_fingerprint\":\"b6940-bench\",\"object\":\"chat.completion.chunk\"{more}}}\n\n"
    ))
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn usage(events: usize) -> serde_json::Value {
    json!({"completion_tokens": events, "prompt_tokens": 32, "total_tokens": 32 + events})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Body;

    fn sent<'a>(answers: &'a Answers, body: &str) -> Answer<'a> {
        answers.to("/v1/chat/completions", body.as_bytes())
    }

    /// Reads a streamed answer as the clients do, and returns its events.
    fn events(wire: &[u8]) -> usize {
        let mut body = Body::chunked();
        body.take(wire.strip_prefix(STREAM_HEAD.as_bytes()).expect("a stream")).expect("chunks");
        assert!(body.is_over());
        body.events()
    }

    #[test]
    fn streams_have_a_role_their_text_an_end_and_usage_if_asked() {
        let answers = Answers::new();
        let Answer::Whole(plain) = sent(&answers, r#"{"model":"short","stream":true}"#) else { panic!("not paced") };
        assert_eq!(events(plain), SHORT + 3);
        let body = r#"{"model":"long","stream":true,"stream_options":{"include_usage":true}}"#;
        let Answer::Whole(counted) = sent(&answers, body) else { panic!("not paced") };
        assert_eq!(events(counted), LONG + 4);
    }

    #[test]
    fn a_paced_answer_is_a_stream_in_pieces() {
        let answers = Answers::new();
        let Answer::Paced { first, text, last } = sent(&answers, r#"{"model":"paced","stream":true}"#) else {
            panic!("paced")
        };
        assert_eq!(events(&[first, &text.repeat(PACED), last].concat()), PACED + 3);
    }

    #[test]
    fn text_events_are_as_long_as_real_ones() {
        assert!((200..250).contains(&text_event().len()), "{}", text_event().len());
    }

    #[test]
    fn who_does_not_stream_gets_json_and_other_models_are_refused() {
        let answers = Answers::new();
        let Answer::Whole(json) = sent(&answers, r#"{"model":"short"}"#) else { panic!("not paced") };
        assert!(json.ends_with(b"}") && json.starts_with(b"HTTP/1.1 200"));
        let Answer::Whole(refused) = sent(&answers, r#"{"model":"other"}"#) else { panic!("not paced") };
        assert!(refused.starts_with(b"HTTP/1.1 404"));
    }
}
