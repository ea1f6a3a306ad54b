//! `serve`, with a file and without.

use std::net::TcpListener;

use orchestrator_core::testing::server::Signal as Raised;
use rustix::process::Signal;

use crate::backend;
use crate::process::{Served, folder, json_of, run};

const CLOCK: &str = "# Clock\n\nThe backup battery keeps the clock when the mains fail.\n";

#[tokio::test]
async fn with_nothing_it_answers_from_the_documents_that_are_there() {
    let folder = folder(&[("docs/clock.md", CLOCK)]);
    let mut served = Served::start(&folder, &[], &[]).await;
    served.line("no API keys").await;
    let answer = json_of(served.chat("extractive", false).send().await.expect("a response")).await;
    let text = answer["choices"][0]["message"]["content"].as_str().expect("a text");
    assert!(text.contains("backup battery keeps the clock"), "{text}");
    assert_eq!(json_of(served.get("/v1/models").await).await["data"][0]["id"], "extractive");
    assert_eq!(served.chat("other", false).send().await.expect("a response").status(), 404);
    served.signal(Signal::INT);
    let ended = served.ended().await;
    assert!(ended.status.success() && ended.err.contains("the documents in docs"), "{}", ended.err);
}

#[tokio::test]
async fn backends_are_asked_for_the_models_that_they_have() {
    let go = Raised::new();
    go.raise();
    let (one, two) = (backend::start("one", &go).await, backend::start("two", &go).await);
    let urls = ["--backend", &one.base_url(), "--backend", &two.base_url()];
    let served = Served::start(&folder(&[]), &urls, &[]).await;
    for (model, server) in [("one", &one), ("two", &two), ("two", &two)] {
        let response = served.chat(model, true).send().await.expect("a response");
        let text = response.text().await.expect("a body");
        assert!(text.contains("the backup") && text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(server.seen().on("/v1/chat/completions").all(|asked| asked.request.json()["model"] == model));
    }
    assert_eq!(two.seen().on("/v1/chat/completions").count(), 2);
    assert_eq!(one.seen().on("/v1/chat/completions").count(), 1);
}

#[tokio::test]
async fn a_backend_that_is_not_there_yet_is_no_reason_not_to_start() {
    let go = Raised::new();
    go.raise();
    let there = backend::start("one", &go).await;
    let absent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", absent.local_addr().expect("an address"));
    // Nobody listens there any more.
    drop(absent);
    let served = Served::start(&folder(&[]), &["--backend", &url, "--backend", &there.base_url()], &[]).await;
    let answer = json_of(served.chat("one", false).send().await.expect("a response")).await;
    assert_eq!(answer["choices"][0]["message"]["content"], "the backup battery");
    served.signal(Signal::TERM);
    let ended = served.ended().await;
    assert!(ended.err.contains(&format!("warning: backend {url}")), "{}", ended.err);
}

#[tokio::test]
async fn what_is_no_model_server_is_refused_at_once() {
    let folder = folder(&[]);
    let ended = run(&folder, &["serve", "--backend", "not a url"]).await;
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(2), ""), "{}", ended.err);
    assert!(ended.err.contains("backend not a url"), "{}", ended.err);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_keys_or_a_word() {
    let folder = folder(&[("docs/clock.md", CLOCK)]);
    let ended = run(&folder, &["serve", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.err.contains("0.0.0.0:0") && ended.err.contains("--public"), "{}", ended.err);
    let served = Served::start(&folder, &["--listen", "0.0.0.0:0", "--public"], &[]).await;
    served.signal(Signal::TERM);
    let ended = served.ended().await;
    assert!(ended.status.success() && ended.err.contains("listening on http://0.0.0.0:"), "{}", ended.err);
}

#[tokio::test]
async fn the_command_line_says_where_to_listen_before_the_file_is_refused_for_it() {
    let file = "[[listeners]]\naddress = '0.0.0.0:0'\n\n[workers.quotes]\nkind = 'extractive'\n";
    let folder = folder(&[("o.toml", file)]);
    let ended = run(&folder, &["serve", "o.toml"]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.err.contains("o.toml:2:1: listeners[0].address: `0.0.0.0:0` is reached by others"), "{}", ended.err);
    // Started with an address of this machine alone.
    let served = Served::start(&folder, &["o.toml"], &[]).await;
    served.signal(Signal::TERM);
    assert!(served.ended().await.status.success());
    let served = Served::start(&folder, &["o.toml", "--listen", "0.0.0.0:0", "--public"], &[]).await;
    served.signal(Signal::TERM);
    assert!(served.ended().await.status.success());
    let ended = run(&folder, &["serve", "o.toml", "--listen", "0.0.0.0:0"]).await;
    assert!(ended.err.contains("--public"), "{}", ended.err);
}

#[tokio::test]
async fn with_a_server_on_each_core_it_answers_and_ends_as_with_one() {
    let file = |placement: &str| {
        format!(
            "shards = 'per-core'\n\n[[listeners]]\naddress = '127.0.0.1:0'\nplacement = '{placement}'\n\n\
             [workers.quotes]\nkind = 'extractive'\n\n[pipelines.assistant]\nstages = [\
             {{ stage = 'rag', docs = 'docs' }}, {{ stage = 'assemble' }}, {{ stage = 'infer', worker = 'quotes' }}]\n"
        )
    };
    let files =
        [("docs/clock.md", CLOCK), ("session.toml", &file("session")), ("connection.toml", &file("connection"))];
    let folder = folder(&files);
    for file in ["session.toml", "connection.toml"] {
        let served = Served::start(&folder, &[file], &[]).await;
        for session in ["anna", "bela", "carl", "dora"] {
            let asked = served.chat("assistant", true).header("x-session-id", session);
            let text = asked.send().await.expect("a response").text().await.expect("a body");
            assert!(text.contains("battery") && text.ends_with("data: [DONE]\n\n"), "{text}");
        }
        let metrics = served.get("/metrics").await.text().await.expect("a body");
        let counted = "orchestrator_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 4";
        assert!(metrics.contains(counted), "all cores are counted together: {metrics}");
        served.signal(Signal::TERM);
        let ended = served.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    }
}
