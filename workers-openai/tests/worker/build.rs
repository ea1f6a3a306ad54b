//! Settings, and what can be told without asking the server.

use std::time::Duration;

use orchestrator_core::error::{Phase, WorkerErrorKind as Kind};
use orchestrator_core::testing::server::Reply;
use orchestrator_core::worker::{ModelWorker, Slots, Timeouts, WorkerInfo};
use workers_openai::{OpenAi, Preset};

use crate::{answer, finish, inference, server};

#[test]
fn all_faults_are_told_at_once() {
    let error = OpenAi::builder().base_url("nowhere").key("").name(" ").model("").build().expect_err("four faults");
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["base_url", "key", "name", "model"]);
    let error = OpenAi::builder().key("").header("a b", "c").model("").build().expect_err("four faults");
    let fields: Vec<_> = error.faults().iter().map(|fault| fault.field()).collect();
    assert_eq!(fields, ["base_url", "key", "header", "model"]);
}

#[test]
fn more_slots_than_there_can_be_are_a_fault() {
    let builder =
        |slots: usize| OpenAi::builder().base_url("http://127.0.0.1:9").slots(slots.try_into().expect("not zero"));
    let error = builder(Slots::MOST + 1).build().expect_err("too many");
    assert_eq!(error.faults()[0].field(), "slots");
}

#[test]
fn it_says_what_it_is_without_asking() {
    let plain = OpenAi::builder().base_url("http://127.0.0.1:9").build().expect("a worker");
    assert_eq!(plain.info(), WorkerInfo::new("openai"));
    assert!(plain.slots().is_none());
    let worker = OpenAi::builder().preset(Preset::Ollama).model("m").context_length(4096);
    let info = WorkerInfo::new("ollama").model("m").context_length(4096);
    assert_eq!(worker.build().expect("a worker").info(), info);
    let named = OpenAi::builder().preset(Preset::Ollama).name("mine").build().expect("a worker");
    assert_eq!(named.info().name, "mine");
}

#[test]
fn a_preset_knows_where_its_server_is() {
    let local = [Preset::Tgi, Preset::Ollama, Preset::LmStudio];
    for preset in local {
        let worker = OpenAi::builder().preset(preset).build().expect("a worker");
        assert!(format!("{worker:?}").contains(preset.base_url()), "{worker:?}");
    }
    for preset in [Preset::OpenAi, Preset::OpenRouter, Preset::Mistral] {
        let built = OpenAi::builder().preset(preset).http_client(reqwest::Client::new()).build();
        assert!(format!("{:?}", built.expect("a worker")).contains(preset.base_url()));
    }
}

#[tokio::test]
async fn routes_lie_below_v1_unless_the_url_has_a_path() {
    for (path, route) in [("", "/v1/chat/completions"), ("/api/v4/", "/api/v4/chat/completions")] {
        let server = server(|_| answer()).await;
        let worker = OpenAi::builder().base_url(server.base_url() + path).build().expect("a worker");
        finish(&worker, inference("?".into())).await.expect("an answer");
        assert_eq!(server.seen().exchanges[0].request.path(), route);
    }
}

#[tokio::test]
async fn key_and_headers_are_sent_and_shown_nowhere() {
    let server = server(|_| answer()).await;
    let builder = OpenAi::builder().base_url(server.base_url()).key("sk-secret").header("HTTP-Referer", "https://app");
    let said = format!("{builder:?}");
    let worker = builder.build().expect("a worker");
    finish(&worker, inference("?".into())).await.expect("an answer");
    assert!(!(said + &format!("{worker:?}")).contains("sk-secret"));
    let request = server.seen().exchanges[0].request.clone();
    assert_eq!(request.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(request.header("http-referer"), Some("https://app"));
}

#[tokio::test]
async fn an_http_client_of_ones_own_is_used() {
    let server = server(|_| answer()).await;
    let own = reqwest::Client::builder().user_agent("mine").build().expect("a client");
    let worker = OpenAi::builder().base_url(server.base_url()).http_client(own).build().expect("a worker");
    finish(&worker, inference("?".into())).await.expect("an answer");
    assert_eq!(server.seen().exchanges[0].request.header("user-agent"), Some("mine"));
}

#[tokio::test]
async fn its_time_limits_hold_for_the_head_and_for_the_stream() {
    let short = Duration::from_millis(30);
    let chunk = "data: {\"choices\":[{\"text\":\"a\"}]}\n\n";
    let begun = move || Reply::chunked(200, "text/event-stream").chunk(chunk);
    let cases = [
        (Reply::raw(), Timeouts::none().first_token(short), Phase::FirstToken),
        (begun(), Timeouts::none().between_tokens(short), Phase::BetweenTokens),
        (begun(), Timeouts::none().total(short), Phase::Total),
    ];
    for (reply, timeouts, phase) in cases {
        let server = server(move |_| reply.clone().stall()).await;
        let worker = OpenAi::builder().base_url(server.base_url()).timeouts(timeouts).build().expect("a worker");
        let error = finish(&worker, inference("?".into())).await.expect_err("too late");
        assert_eq!(error.kind(), Kind::Timeout(phase));
        server.wait_for("the client to leave", |seen| seen.is_idle() && seen.connections.now == 0).await;
    }
}
