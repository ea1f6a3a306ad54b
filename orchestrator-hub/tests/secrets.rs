//! Keys, which are nowhere to be found, and prompts, which are in no log. A target of its own, as it looks at all that its
//! process logs.

use std::sync::Arc;

use hub_rig::{CHAT, Logs, Raw, Rig, chat, patient};
use metrics_exporter_prometheus::PrometheusBuilder;
use orchestrator_config::file::Limits;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer};
use orchestrator_hub::{Figures, Gateway, Key, Keys};
use serde_json::json;
use sha2::{Digest, Sha256};
use workers_openai::OpenAi;

/// The key of a client, and of the model server.
const OF_CLIENT: &str = "sk-canary-of-client-4f81";
const OF_SERVER: &str = "sk-canary-of-server-93d2";

/// What is asked.
const PROMPT: &str = "canary-of-the-prompt";

/// A server that repeats the key and the prompt that it was given in whatever it says.
async fn indiscreet() -> ScriptedServer {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let script = move |request: &Request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        let asked = request.json().to_string().replace('"', "'");
        let error = format!(r#"{{"error":{{"message":"{key} is not liked: {asked}","type":"x","param":"{asked}"}}}}"#);
        let word = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{PROMPT}"}}}}]}}"#);
        let begun = Reply::chunked(200, "text/event-stream").chunk(format!("data: {word}\n\n"));
        match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 9 {
            0 => Reply::json(401, error),
            1 => Reply::json(429, error),
            2 => Reply::json(500, error),
            3 => Reply::json(400, error),
            4 => Reply::chunked(200, "text/event-stream").chunk(format!("data: {error}\n\n")).last_chunk(),
            5 => Reply::raw().bytes(key).close(),
            6 => begun.chunk(format!("data: {error}\n\n")).last_chunk(),
            7 => begun.chunk(format!("data: {asked}\n\n")).last_chunk(),
            _ => Reply::raw().reset(),
        }
    };
    ScriptedServer::start(script).await.expect("a port")
}

#[tokio::test]
async fn no_key_is_in_a_response_a_log_a_metric_or_debug_output_and_no_prompt_in_a_log() {
    let logs = Logs::of_this_process();
    let metrics = PrometheusBuilder::new().install_recorder().expect("no other test installs one");
    let figures: Figures = Arc::new(move || metrics.render());
    let server = indiscreet().await;
    let worker = OpenAi::builder().base_url(format!("{}/v1", server.base_url())).key(OF_SERVER);
    let service = patient(worker.build().expect("settings that fit"), &Limits::default());
    let key =
        Key { sha256: Sha256::digest(OF_CLIENT).into(), tenant: Some("acme".into()), priority: Default::default() };
    let keys = Keys::from_iter([key]);
    let gateway = Gateway::new(service.clone(), keys.clone(), Limits::default(), Some(figures.clone()));
    let mut told = format!("{gateway:?} {service:?} {keys:?}");
    let rig = Rig::serving(service, keys, Limits::default(), Some(figures)).await;

    let client = reqwest::Client::new();
    let wrong = [OF_CLIENT, "x"].concat();
    for (key, expected) in [(wrong.as_str(), 401), (&OF_CLIENT[..20], 401)] {
        let asked = client.post(rig.url(CHAT)).bearer_auth(key).body(chat(false));
        let response = asked.send().await.expect("a response");
        assert_eq!(response.status().as_u16(), expected);
        told += &format!("{:?} {}", response.headers().clone(), response.text().await.expect("a body"));
    }
    let wrong = [
        "{".to_owned(),
        json!({"model": "mock", "messages": PROMPT}).to_string(),
        json!({"model": "mock", "messages": [{"role": PROMPT, "content": "x"}]}).to_string(),
        json!({"model": "mock", "messages": [{"role": "user", "content": {PROMPT: 1}}]}).to_string(),
        json!({"model": "mock", "max_tokens": PROMPT, "messages": []}).to_string(),
    ];
    let right = (0..36).map(|number| chat(number % 2 == 0).replace("hello", PROMPT));
    for body in right.chain(wrong) {
        let asked = client.post(rig.url(CHAT)).header("x-api-key", OF_CLIENT).body(body);
        let response = asked.send().await.expect("a response");
        assert_ne!(response.status().as_u16(), 401, "the key is right");
        told += &format!("{:?} {}", response.headers().clone(), response.text().await.expect("a body"));
    }
    let mut broken = Raw::connect(rig.address).await;
    broken.send(format!("POST {CHAT} HTTP/1.1\r\nhost : x\r\nauthorization: Bearer {OF_CLIENT}\r\n\r\n")).await;
    told += &broken.rest().await;
    let metrics = client.get(rig.url("/metrics")).bearer_auth(OF_CLIENT).send().await.expect("a response");
    let metrics = metrics.text().await.expect("a body");
    assert!(metrics.contains("orchestrator_http_requests_total"), "{metrics}");
    let open = metrics.lines().find_map(|line| line.strip_prefix("orchestrator_http_connections "));
    assert!(open.is_some_and(|open| open != "0"), "this one is open: {metrics}");
    told += &metrics;
    rig.end().await;

    let logged = logs.text();
    let failures = logged.lines().filter(|line| line.contains("a request failed"));
    assert!(logged.contains("an answer broke off"), "failures in mid-answer are logged");
    assert!(failures.count() >= 8 && logged.contains("tenant=\"acme\""), "the failures are logged");
    let mut refusals = logged.lines().filter(|line| line.contains("fault=RateLimited")).peekable();
    assert!(refusals.peek().is_some() && refusals.all(|line| line.contains(" DEBUG ")), "nobody is warned of overload");
    for secret in [OF_CLIENT, OF_SERVER] {
        assert!(!told.contains(secret), "{told}");
        let found: Vec<&str> = logged.lines().filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
    assert!(told.contains(PROMPT), "clients are told what the server says");
    let found: Vec<&str> = logged.lines().filter(|line| line.contains(PROMPT)).collect();
    assert!(found.is_empty(), "{found:#?}");
}
