//! What clients are told: answers, refusals and failures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_orchestrator::error::Phase;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use prompt_orchestrator::token::TextDelta;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{Client, Head};
use crate::service::{Held, Service};
use crate::{by_hand, until};

async fn post(service: &Service, path: &str, body: Value) -> (Head, Value) {
    Client::post(service.address, path, &body).await.reply().await
}

/// Fails as its question says, or answers.
fn as_asked(request: &InferenceRequest) -> Script {
    use WorkerErrorKind as K;
    let fail = |kind| Script::new().fail(WorkerError::new(kind, "the server's own words"));
    let pause = WorkerError::new(K::RateLimited, "429").with_retry_after(Duration::from_millis(1_500));
    match &*request.question() {
        "pause" => Script::new().fail(pause),
        "pause in the stream" => Script::new().streaming().fail(pause),
        "rate" => fail(K::RateLimited),
        "overloaded" => fail(K::Overloaded),
        "invalid" => fail(K::InvalidRequest),
        "long" => fail(K::ContextLength { prompt_tokens: Some(9), limit: Some(8) }),
        "filter" => fail(K::ContentFilter),
        "auth" => fail(K::Auth),
        "late" => Script::new().fail(WorkerError::timeout(Phase::FirstToken, Duration::from_secs(5))),
        "cut" => Script::new().streaming(),
        "panic" => Script::new().panic("expected"),
        "cut later" => Script::new().streaming().text("half an"),
        "again" => Script::new()
            .event(TokenEvent::Reasoning(TextDelta::new("hm")))
            .text("wrong")
            .event(TokenEvent::Reset)
            .text("right")
            .finish(),
        "hang" => Script::new().streaming().text("then").hang(),
        _ => Script::answering("to be or not "),
    }
}

#[tokio::test]
async fn an_answer_comes_in_events_or_in_one_piece() {
    let service = Service::start(Held::open(2, as_asked), 8).await;
    let done = json!({
        "finish_reason": "stop",
        "usage": { "prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 4 },
        "sources": ["tea.md"],
    });
    let mut client = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
    let head = client.head().await;
    assert_eq!((head.status, &*head.headers["content-type"]), (200, "text/event-stream"));
    let events = client.events().await;
    let (last, tokens) = events.split_last().expect("some");
    assert!(tokens.len() > 1 && tokens.iter().all(|event| event.name == "token"), "{events:?}");
    let text: String = tokens.iter().filter_map(|event| event.data["text"].as_str()).collect();
    assert_eq!((&*text, &*last.name, &last.data), ("to be or not", "done", &done));

    let (head, mut reply) = post(&service, "/ask.json", json!({ "question": "tea?" })).await;
    assert_eq!(head.status, 200);
    assert_eq!(reply["text"].take(), "to be or not");
    reply.as_object_mut().expect("an object").remove("text");
    assert_eq!(reply, done);

    let (head, product) = Client::get(service.address, "/products/1").await.reply().await;
    assert_eq!((head.status, product), (200, json!({ "name": "kettle", "cents": 2450 })));
}

#[tokio::test]
async fn an_answer_that_starts_again_says_so() {
    let service = Service::start(Held::open(2, as_asked), 8).await;
    let mut client = Client::post(service.address, "/ask", &json!({ "question": "again" })).await;
    assert_eq!(client.head().await.status, 200);
    let events = client.events().await;
    let said: Vec<_> = events.iter().map(|event| (&*event.name, event.data["text"].as_str())).collect();
    let expected = [("token", Some("wrong")), ("reset", None), ("token", Some("right")), ("done", None)];
    assert_eq!(said, expected, "and nothing of the reasoning");

    let (_, reply) = post(&service, "/ask.json", json!({ "question": "again" })).await;
    assert_eq!(reply["text"], "right");
}

#[tokio::test]
async fn every_failure_has_its_status_and_its_word() {
    let service = Service::start(Held::open(2, as_asked), 8).await;
    let told = [
        ("pause", 429, "rate_limited", Some("2")),
        ("pause in the stream", 429, "rate_limited", Some("2")),
        ("rate", 429, "rate_limited", None),
        ("overloaded", 503, "overloaded", None),
        ("invalid", 400, "invalid", None),
        ("long", 400, "too_long", None),
        ("filter", 422, "content_filter", None),
        ("auth", 502, "worker", None),
        ("late", 504, "timeout", None),
        ("cut", 502, "worker", None),
        ("panic", 500, "internal", None),
    ];
    for (question, status, kind, retry_after) in told {
        for path in ["/ask", "/ask.json"] {
            let (head, body) = post(&service, path, json!({ "question": question })).await;
            assert_eq!((head.status, body), (status, json!({ "kind": kind })), "{question} at {path}");
            assert_eq!(head.headers.get("retry-after").map(String::as_str), retry_after, "{question} at {path}");
        }
    }
    service.until_nothing_is_left().await;
}

#[tokio::test]
async fn what_is_not_valid_is_named() {
    let service = Service::start(Held::open(2, as_asked), 8).await;
    for path in ["/ask", "/ask.json"] {
        let (head, body) = post(&service, path, json!({ "question": " \n" })).await;
        assert_eq!((head.status, body), (400, json!({ "kind": "invalid", "field": "question" })));
        let (head, body) = post(&service, path, json!({ "question": "tea?", "temperature": 9.5 })).await;
        assert_eq!((head.status, body), (400, json!({ "kind": "invalid", "field": "temperature" })));
    }
    assert_eq!(service.assistant.stats().accepted, 0);
}

/// A failure behind the first token cannot have a status any more.
#[tokio::test]
async fn a_cut_answer_does_not_look_whole() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    // For this thread, on which the service runs as well.
    let _logged = tracing::subscriber::set_default(subscriber);
    let service = Service::start(Held::open(2, as_asked), 8).await;
    let mut client = Client::post(service.address, "/ask", &json!({ "question": "cut later" })).await;
    assert_eq!(client.head().await.status, 200);
    let events = client.events().await;
    let names: Vec<_> = events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["token", "error"]);
    assert_eq!(events[1].data, json!({ "kind": "worker" }));
    let told = log.text();
    assert!(told.contains("not answered") && told.contains("StreamCut"), "whoever runs the service is told: {told}");

    let (head, body) = post(&service, "/ask.json", json!({ "question": "cut later" })).await;
    assert_eq!((head.status, body), (502, json!({ "kind": "worker" })));
}

/// What a service has logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn as_many_are_at_the_worker_as_it_has_slots() {
    let service = Service::start(Held::open(48, as_asked), 64).await;
    let mut inside = Vec::new();
    for _ in 0..48 {
        inside.push(Client::post(service.address, "/ask", &json!({ "question": "hang" })).await);
    }
    until("all are at the worker", || service.worker.mock.stats().live == 48).await;
    drop(inside);
    service.until_nothing_is_left().await;
}

#[tokio::test]
async fn a_full_door_refuses_at_once_and_the_rest_of_the_service_goes_on() {
    let worker = Held::open(1, as_asked);
    worker.set_open(false);
    let service = Service::start(worker, 2).await;
    // One at the worker, eight in front of it, eight in the stage before, and two at the door.
    let mut inside = Vec::new();
    for number in 1..=1 + 8 + 8 + 2 {
        inside.push(Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await);
        let waiting = number.max(17) - 17;
        until("it is in its place", || {
            let stats = service.assistant.stats();
            (stats.submitted, stats.stages[0].depth) == (number as u64, waiting)
        })
        .await;
    }
    for path in ["/ask", "/ask.json"] {
        let (head, body) = post(&service, path, json!({ "question": "tea?" })).await;
        assert_eq!((head.status, body), (429, json!({ "kind": "queue_full" })));
        assert!(!head.headers.contains_key("retry-after"), "the door does not know when there is room");
    }
    let (head, product) = Client::get(service.address, "/products/2").await.reply().await;
    assert_eq!((head.status, &product["name"]), (200, &json!("teapot")));
    let (head, _) = Client::get(service.address, "/products/3").await.reply().await;
    assert_eq!(head.status, 404);

    service.worker.set_open(true);
    for mut client in inside {
        assert_eq!(client.head().await.status, 200);
        assert_eq!(client.events().await.last().expect("some").name, "done");
    }
    service.until_nothing_is_left().await;
}

#[tokio::test]
async fn nobody_waits_longer_than_the_deadline() {
    by_hand(async {
        let service = Service::start(Held::open(1, as_asked), 8).await;
        let mut streaming = Client::post(service.address, "/ask", &json!({ "question": "hang" })).await;
        assert_eq!(streaming.head().await.status, 200);
        assert_eq!(streaming.event().await.expect("a token").data, json!({ "text": "then" }));
        // It has the only slot; these wait for it.
        let mut queued = Vec::new();
        for path in ["/ask", "/ask.json"] {
            queued.push(Client::post(service.address, path, &json!({ "question": "tea?" })).await);
        }
        until("they wait", || service.assistant.stats().in_flight == 3).await;

        tokio::time::advance(Duration::from_secs(61)).await;
        for mut client in queued {
            let (head, body) = client.reply().await;
            assert_eq!((head.status, body), (504, json!({ "kind": "timeout" })));
        }
        let last = streaming.events().await;
        assert_eq!((last.len(), &*last[0].name, &last[0].data), (1, "error", &json!({ "kind": "timeout" })));
        assert_eq!(streaming.comments, 1, "one line that a proxy takes for life");
        service.until_nothing_is_left().await;
    })
    .await;
}
